//! The doctor names what is there and says what to do about what is wrong.

use llm_course::{Health, doctor};
use tch::Device;

#[test]
fn it_names_what_is_loaded() {
    let health = doctor();
    assert_eq!(health.libtorch.as_deref(), Some("2.11.0"), "the libtorch that the course pins");
    assert!(include_str!("../lib/Cargo.toml").contains(&format!("tch = \"{}\"", health.tch)));
    let pinned = include_str!("../rust-toolchain.toml").lines().find_map(|l| l.strip_prefix("channel = "));
    assert!(health.rustc.contains(pinned.unwrap().trim_matches('"')), "{}", health.rustc);
    assert!(health.computes && health.cores > 0 && health.threads > 0);
    #[cfg(target_os = "linux")]
    assert!(health.memory_used > Some(50 << 20) && health.memory_free.is_some());
    let text = health.to_string();
    for name in
        ["llm_course", "rustc 1.", "tch", "libtorch", "2.11.0", "computing on", "threads", "memory free"]
    {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
}

fn well() -> Health {
    Health {
        libtorch: Some("2.11.0".into()),
        device: Ok(Device::Cpu),
        nvidia_driver: false,
        cores: 4,
        threads: 4,
        memory_free: Some(8 << 30),
        computes: true,
        ..doctor()
    }
}

#[test]
fn each_fault_is_named_with_what_to_do() {
    assert_eq!(well().problems(), Vec::<String>::new());
    assert!(well().to_string().ends_with("✓ nothing is wrong"));
    let sick = [
        (Health { libtorch: Some("2.1.1".into()), ..well() }, "libtorch 2.1.1", "cargo course setup"),
        (Health { libtorch: Some("2.110.0".into()), ..well() }, "libtorch 2.110.0", "cargo course setup"),
        (Health { device: Err("use cpu or cuda:0".into()), ..well() }, "use cpu", "cuda:0"),
        (Health { computes: false, ..well() }, "matrix product", "LLM_COURSE_DEVICE=cpu"),
        (Health { threads: 9, ..well() }, "9 threads share 4 cores", "set_num_threads(4)"),
        (Health { memory_free: Some(1 << 30), ..well() }, "1.0 GiB", "close other notebooks"),
    ];
    for (health, what, advice) in sick {
        let [problem] = &health.problems()[..] else { panic!("one problem, got {:?}", health.problems()) };
        assert!(problem.contains(what) && problem.contains(advice), "{problem}");
        assert!(health.to_string().contains(&format!("✗ {problem}\n1 to mend")));
    }
}

#[test]
fn what_cannot_be_asked_is_no_fault() {
    let unknown = Health { libtorch: None, memory_used: None, memory_free: None, ..well() };
    assert!(unknown.problems().is_empty());
    assert!(unknown.to_string().contains("memory free    cannot be asked"));
}
