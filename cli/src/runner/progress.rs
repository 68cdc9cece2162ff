//! Shows how far a run has come, and a table of times at its end.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::report::{Event, Report};

const GIB: f64 = (1u64 << 30) as f64;

/// One line that changes on a terminal; else a line for each cell.
pub struct Progress {
    bar: Option<ProgressBar>,
    begun: HashMap<String, Instant>, // by lesson: several may run at the same time
}

impl Progress {
    /// Progress on stderr.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} ({elapsed} in all)").expect("a fixed template"),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, begun: HashMap::new() }
    }

    /// Shows one step.
    pub fn show(&mut self, event: &Event) {
        let text = match event {
            Event::Cell { lesson, number, total } => {
                let begun = self.begun.entry(lesson.to_string()).or_insert_with(Instant::now);
                format!("{lesson}: cell {number}/{total}, {:.1} s", begun.elapsed().as_secs_f64())
            }
            Event::Finished(report) => return self.finished(report),
        };
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => eprintln!("{text}"),
        }
    }

    fn finished(&self, report: &Report) {
        let seconds = report.total.as_secs_f64();
        let mut text = match &report.failure {
            None => format!("{}: passed in {seconds:.1} s", report.lesson),
            Some(failure) => format!("{}: FAILED after {seconds:.1} s\n{failure}", report.lesson),
        };
        text.truncate(text.trim_end().len());
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Seconds and the most memory for each lesson.
pub fn table(reports: &[Report]) -> String {
    let width = reports.iter().map(|report| report.lesson.len()).max().unwrap_or(0).max("lesson".len());
    let mut text = format!("{:width$}  seconds  cells  memory\n", "lesson");
    for report in reports {
        let red = if report.failure.is_some() { "  FAILED" } else { "" };
        let (seconds, cells) = (report.total.as_secs_f64(), report.cells.len());
        let memory =
            report.peak_memory.map_or("?".to_string(), |bytes| format!("{:.2} GiB", bytes as f64 / GIB));
        writeln!(text, "{:width$}  {seconds:7.1}  {cells:5}  {memory}{red}", report.lesson)
            .expect("a String takes all");
    }
    let total: f64 = reports.iter().map(|report| report.total.as_secs_f64()).sum();
    writeln!(text, "{:width$}  {total:7.1}", "total").expect("a String takes all");
    text
}

/// Seconds for each cell of a lesson, and what the budgets are about.
pub fn timings(report: &Report) -> String {
    let mut text =
        format!("{}\n  kernel start      {:7.2} s\n", report.lesson, report.kernel_start.as_secs_f64());
    for cell in &report.cells {
        let training = if cell.training { "  training" } else { "" };
        let (number, id, seconds) = (cell.number, &cell.id, cell.time.as_secs_f64());
        writeln!(text, "  cell {number:3} {id:14} {seconds:7.2} s{training}").expect("a String takes all");
    }
    let ready = report.ready_after().as_secs_f64();
    writeln!(text, "  kernel start + first cell            {ready:7.2} s").expect("a String takes all");
    if let Some(median) = report.median_later_cell() {
        let median = median.as_secs_f64();
        writeln!(text, "  median of later cells, not training  {median:7.2} s").expect("a String takes all");
    }
    text
}
