//! `cargo course`: sets up, opens, runs and tests the notebooks.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use course::paths::Course;
use course::{bench, build, data, doctor, export, grade, handouts, lab, model, runner, setup, site, verify};

#[derive(Parser)]
#[command(name = "course", bin_name = "cargo course", about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::SetupArgs),
    /// Says what is there, what is missing, and whether a cell runs.
    Doctor,
    /// Opens the course in JupyterLab; so does `cargo course` alone.
    Lab(lab::LabArgs),
    Run(runner::command::RunArgs),
    Build(build::BuildArgs),
    Test(verify::TestArgs),
    Grade(grade::GradeArgs),
    Bench(bench::BenchArgs),
    Data(data::DataArgs),
    Model(model::ModelArgs),
    Export(export::ExportArgs),
    Handouts(handouts::HandoutsArgs),
    Site(site::SiteArgs),
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

fn execute(course: &Course, command: Option<Command>) -> anyhow::Result<ExitCode> {
    use Command::{Data, Doctor, Export, Handouts, Model, Site};
    if !matches!(command, Some(Data(_) | Doctor | Export(_) | Handouts(_) | Model(_) | Site(_))) {
        setup::setup(course)?;
    }
    match command.unwrap_or_else(|| Command::Lab(lab::LabArgs::default())) {
        Command::Setup(args) => {
            if args.peers {
                setup::setup_peers(course)?;
            }
            println!("ready: cargo course");
        }
        Command::Lab(args) => lab::lab(course, &args)?,
        Command::Doctor => doctor::doctor(course)?,
        Command::Data(args) => data::data(course, &args)?,
        Command::Model(args) => model::model(&args)?,
        Command::Export(args) => export::export(course, &args)?,
        Command::Handouts(args) => handouts::handouts(course, &args)?,
        Command::Site(args) => site::site(course, &args)?,
        Command::Run(args) => runner::command::run(course, &args)?,
        Command::Build(args) => build::build(course, &args)?,
        Command::Grade(args) => grade::grade(course, &args)?,
        Command::Bench(args) => bench::bench(course, &args)?,
        Command::Test(args) if verify::test(course, &args).failed > 0 => return Ok(ExitCode::FAILURE),
        Command::Test(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
