//! `cargo course`: sets up, opens, runs and tests the notebooks.

use clap::{Parser, Subcommand};
use course::paths::Course;
use course::{build, runner, verify};

#[derive(Parser)]
#[command(name = "course", bin_name = "cargo course", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(runner::command::RunArgs),
    Build(build::BuildArgs),
    Test(verify::TestArgs),
}

fn main() -> std::process::ExitCode {
    match Course::find().and_then(|course| execute(&course, Cli::parse().command)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn execute(course: &Course, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => runner::command::run(course, &args),
        Command::Build(args) => build::build(course, &args),
        Command::Test(args) => verify::test(course, &args),
    }
}
