//! A lesson with a learner's answers in it, and the marks that they get.

use anyhow::{Context, Result};
use nbformat::v4::{Cell, Notebook};

use super::mark::{Mark, Verdict};
use crate::build::{drafts, markers};
use crate::notebook::{has_tag, is_executed, lines, outputs_as_text, source};
use crate::paths::Course;
use crate::runner::lessons::stem;
use crate::runner::strict::Cause;
use crate::runner::{Event, Failure, Job, Options, Report, run_notebook};

/// A lesson as the course has it, with open exercises.
pub struct Lesson {
    pub name: String,
    exercises: Vec<Exercise>,
    notebook: Notebook,
}

/// An exercise, e.g. 7.1, and the places of its two cells.
struct Exercise {
    number: String,
    cell: usize,
    check: usize,
}

/// All lessons, made from their sources: the notebooks of the checkout may have been worked in.
pub fn lessons(course: &Course) -> Result<Vec<Lesson>> {
    let folder = course.notebooks();
    let open = drafts(course, &[])?.into_iter().filter(|draft| draft.path.parent() == Some(&folder));
    open.map(|draft| Lesson::new(stem(&draft.path), draft.notebook)).collect()
}

impl Lesson {
    /// A lesson from its notebook, where the check of an exercise is the next cell of code.
    fn new(name: String, notebook: Notebook) -> Result<Self> {
        let mut exercises = Vec::new();
        for (cell, exercise) in
            notebook.cells.iter().enumerate().filter(|(_, cell)| has_tag(cell, "exercise"))
        {
            let number = markers::Exercise::of(&source(exercise))?.number;
            let mut next =
                notebook.cells.iter().enumerate().skip(cell + 1).filter(|(_, cell)| is_executed(cell));
            let check = next.next().filter(|(_, cell)| source(cell).contains("check::"));
            let (check, _) = check.with_context(|| format!("{name}: no check follows exercise {number}"))?;
            exercises.push(Exercise { number, cell, check });
        }
        Ok(Self { name, exercises, notebook })
    }

    /// The numbers of its exercises.
    pub fn numbers(&self) -> impl Iterator<Item = String> {
        self.exercises.iter().map(|exercise| exercise.number.clone())
    }

    /// How many of its exercises a notebook holds, solved or not.
    pub fn held_by(&self, submitted: &Notebook) -> usize {
        self.exercises.iter().filter(|exercise| self.cells_of(exercise, submitted).next().is_some()).count()
    }

    /// The cells that have an exercise's id or, in its doc comment, its number.
    fn cells_of<'a>(
        &'a self,
        exercise: &'a Exercise,
        submitted: &'a Notebook,
    ) -> impl DoubleEndedIterator<Item = &'a Cell> {
        let id = self.notebook.cells[exercise.cell].id();
        let has_number =
            |cell: &Cell| markers::Exercise::of(&source(cell)).is_ok_and(|it| it.number == exercise.number);
        let code = submitted.cells.iter().filter(|cell| matches!(cell, Cell::Code { .. }));
        code.filter(move |cell| cell.id() == id || has_number(cell))
    }

    /// The last cell of an exercise that is neither empty nor as the learner got it.
    fn answer(&self, exercise: &Exercise, submitted: &Notebook) -> Option<String> {
        let open = source(&self.notebook.cells[exercise.cell]);
        let mut texts = self.cells_of(exercise, submitted).map(source);
        texts.rfind(|text| !text.trim().is_empty() && text.trim() != open.trim())
    }

    /// A mark for each exercise of a submission.
    ///
    /// Each round ends at a red cell. Whatever is to blame for it goes back to what the learner got, so there are few
    /// rounds more than answers that are to blame.
    ///
    /// # Errors
    /// If the kernel does not start.
    pub async fn mark(
        &self,
        course: &Course,
        submitted: &Notebook,
        name: &str,
        options: &Options,
        watch: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Mark>> {
        let mut marking = Marking::new(self, submitted);
        while marking.marks.contains(&None) {
            let (name, folder, notebook) = (name.to_owned(), course.notebooks(), marking.notebook());
            let report = run_notebook(course, Job { name, folder, notebook }, options, watch).await?;
            marking.collect(&report);
            if let Some(failure) = &report.failure {
                marking.blame(failure);
            }
        }
        Ok(marking.marks.into_iter().flatten().collect())
    }
}

/// How far a submission is marked.
struct Marking<'a> {
    lesson: &'a Lesson,
    /// For each exercise; none if not attempted, or to blame for a red cell.
    answers: Vec<Option<String>>,
    marks: Vec<Option<Mark>>,
    /// Whether all cells may write to stderr, which costs a hidden cell for each.
    lenient: bool,
    /// What the last line of a check's cell prints: without it, or elsewhere, the kernel has been led astray.
    seal: String,
}

impl<'a> Marking<'a> {
    fn new(lesson: &'a Lesson, submitted: &Notebook) -> Self {
        let answer = |exercise| lesson.answer(exercise, submitted);
        let answers: Vec<_> = lesson.exercises.iter().map(answer).collect();
        let open = || Mark::new(Verdict::Open, "not attempted yet");
        let marks = answers.iter().map(|answer| answer.is_none().then(open)).collect();
        Self { lesson, answers, marks, lenient: false, seal: uuid::Uuid::new_v4().to_string() }
    }

    /// The lesson with the answers in it, up to the last check that has no mark yet.
    fn notebook(&self) -> Notebook {
        let mut notebook = self.lesson.notebook.clone();
        if self.lenient {
            notebook.cells.iter_mut().for_each(allow_stderr);
        }
        for (exercise, answer) in self.lesson.exercises.iter().zip(&self.answers) {
            if let Some(text) = answer {
                replace(&mut notebook.cells[exercise.cell], text);
            }
            // A `mod check` or a macro in an answer must not come before the course's.
            let check = &mut notebook.cells[exercise.check];
            let text = source(check).replace("check::", "::llm_course::check::");
            let seal = self.seal(exercise);
            replace(check, &format!("{text}\n;::std::println!(\"{seal}\");"));
        }
        let last = self.marks.iter().rposition(Option::is_none);
        notebook.cells.truncate(last.map_or(0, |index| self.lesson.exercises[index].check + 1));
        notebook
    }

    fn seal(&self, exercise: &Exercise) -> String {
        format!("{} {}", self.seal, exercise.number)
    }

    /// Marks the exercises whose checks were executed to the end.
    fn collect(&mut self, report: &Report) {
        let red = report.failure.as_ref().and_then(|failure| self.place(failure));
        for (index, exercise) in self.lesson.exercises.iter().enumerate() {
            if let Some(Cell::Code { execution_count: Some(_), outputs, .. }) =
                report.notebook.cells.get(exercise.check)
                && red != Some(exercise.check)
            {
                let shown = outputs_as_text(outputs);
                let shown = shown.split_once(&self.seal(exercise)).map_or("", |(before, _)| before);
                self.marks[index].get_or_insert_with(|| Mark::of(shown, &exercise.number));
            }
        }
    }

    /// Takes out what may have made a cell red: the answer that the cell belongs to, else all before it.
    fn blame(&mut self, failure: &Failure) {
        if matches!(failure.cause, Cause::Stderr(_)) && !self.lenient {
            self.lenient = true; // a `dbg!` in an answer that a later cell calls
            return;
        }
        let message = failure.cause.to_string();
        let red = self.place(failure).unwrap_or(0);
        let exercises = &self.lesson.exercises;
        let before = (0..exercises.len()).filter(|&i| self.answers[i].is_some() && exercises[i].cell <= red);
        let before: Vec<_> = before.collect();
        let own = before.last().filter(|&&i| red <= exercises[i].check);
        let blamed = own.map_or(&before[..], std::slice::from_ref);
        for &index in blamed {
            self.answers[index] = None;
            self.marks[index].get_or_insert_with(|| Mark::new(Verdict::Failed, &message));
        }
        if blamed.is_empty() {
            let message = format!("{}: the lesson itself fails: {message}", self.lesson.name);
            let ungraded = || Mark::new(Verdict::Ungraded, &message);
            self.marks.iter_mut().for_each(|mark| *mark = mark.take().or_else(|| Some(ungraded())));
        }
    }

    /// The place of the cell that failed; none if that was outside the cells.
    fn place(&self, failure: &Failure) -> Option<usize> {
        let (_, id) = failure.cell.as_ref()?;
        self.lesson.notebook.cells.iter().position(|cell| cell.id().as_str() == id)
    }
}

/// Gives a cell another text; it may then write to stderr, as an answer with `dbg!` does.
fn replace(cell: &mut Cell, text: &str) {
    allow_stderr(cell);
    if let Cell::Code { source, .. } = cell {
        *source = lines(text);
    }
}

fn allow_stderr(cell: &mut Cell) {
    if let Cell::Code { metadata, .. } = cell {
        metadata.tags.get_or_insert_default().push("stderr-ok".to_owned());
    }
}
