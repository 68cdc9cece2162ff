//! Where the course keeps its things.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checkout of the course and the folders below it.
#[derive(Clone, Debug)]
pub struct Course {
    /// The folder that holds `notebooks/`, `lib/` and `.course/`.
    pub root: PathBuf,
}

impl Course {
    /// The checkout around the current folder, else the one this program was built in.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().context("the current folder cannot be read")?;
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("cli/ has a parent");
        here.ancestors()
            .chain([built])
            .find(|folder| {
                folder.join("notebooks/source").is_dir() && folder.join("lib/Cargo.toml").is_file()
            })
            .map(|root| Self { root: root.to_path_buf() })
            .context("this is not a checkout of the course: run `cargo course` inside its folder")
    }

    /// Everything that set-up makes; ignored by git.
    pub fn home(&self) -> PathBuf {
        self.root.join(".course")
    }

    /// The Python environment with JupyterLab, jupytext and libtorch.
    pub fn venv(&self) -> PathBuf {
        self.home().join("venv")
    }

    /// A program of the Python environment, e.g. `jupytext`.
    pub fn venv_bin(&self, program: &str) -> PathBuf {
        self.venv().join("bin").join(program)
    }

    /// A Python that can import PyTorch and `transformers`, if `cargo course setup --peers` has made it.
    pub fn peers_python(&self) -> Option<PathBuf> {
        let finished = self.home().join("stamps/peers").is_file();
        Some(self.peers().join("bin/python")).filter(|python| finished && python.is_file())
    }

    /// The environment of [`peers_python`](Self::peers_python).
    pub fn peers(&self) -> PathBuf {
        self.home().join("peers")
    }

    /// What renders the static pages.
    pub fn site_venv(&self) -> PathBuf {
        self.home().join("site-venv")
    }

    /// The Rust kernel.
    pub fn kernel(&self) -> PathBuf {
        self.home().join("bin/evcxr_jupyter")
    }

    /// The kernelspec `rust` with absolute paths in its environment.
    pub fn kernelspec(&self) -> PathBuf {
        self.venv().join("share/jupyter/kernels/rust/kernel.json")
    }

    /// `LIBTORCH` if the user has set it, else the link that set-up made.
    pub fn libtorch(&self) -> PathBuf {
        std::env::var_os("LIBTORCH").map_or_else(|| self.home().join("libtorch"), PathBuf::from)
    }

    /// Whether the user's `LIBTORCH` names another libtorch than the one that set-up makes.
    pub fn has_own_libtorch(&self) -> bool {
        self.libtorch() != self.home().join("libtorch")
    }

    /// Learners' notebooks, executed.
    pub fn notebooks(&self) -> PathBuf {
        self.root.join("notebooks")
    }

    /// The only hand-edited form of the lessons.
    pub fn sources(&self) -> PathBuf {
        self.notebooks().join("source")
    }

    /// The same lessons with the exercises solved, executed.
    pub fn solutions(&self) -> PathBuf {
        self.notebooks().join("solutions")
    }

    /// The cheat sheet and the talk, Typst sources and PDFs.
    pub fn handouts(&self) -> PathBuf {
        self.root.join("handouts")
    }

    /// Pictures that the README and the handouts show, taken from executed notebooks.
    pub fn pictures(&self) -> PathBuf {
        self.notebooks().join("pictures")
    }

    /// Models that lessons exported, ignored by git: `LLM_COURSE_EXPORTS` if the user has set it, else `exports/`.
    pub fn exports(&self) -> PathBuf {
        let own = std::env::var_os("LLM_COURSE_EXPORTS").filter(|value| !value.is_empty());
        own.map_or_else(|| self.root.join("exports"), PathBuf::from)
    }

    /// What lessons measured, with the configuration that made it; figures of the handouts are made from it.
    pub fn results(&self) -> PathBuf {
        self.notebooks().join("results")
    }
}
