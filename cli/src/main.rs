//! `cargo course`: sets up, opens, runs and tests the notebooks.

use std::process::ExitCode;

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

fn main() -> ExitCode {
    match Course::find().and_then(|course| execute(&course, Cli::parse().command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(course: &Course, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => runner::command::run(course, &args)?,
        Command::Build(args) => build::build(course, &args)?,
        Command::Test(args) if verify::test(course, &args).failed > 0 => return Ok(ExitCode::FAILURE),
        Command::Test(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
