//! Several figures in one image.

use super::canvas::Canvas;
use super::frame::{self, MARGIN};
use super::geometry::Rect;
use super::{Figure, Kind};

#[derive(Clone, Debug)]
pub(super) struct Grid {
    columns: usize,
    panels: Vec<Figure>,
}

/// The width that panels without a size share, in CSS pixels.
const SHARED: u32 = 960;

/// Puts figures side by side in one image; a panel with a size keeps it, others share the width.
///
/// A notebook cell shows one image only, so this is how it shows two. [`Figure::title`] gives the
/// whole a title.
///
/// ```
/// use llm_course::plot::{self, Figure};
///
/// let loss = Figure::lines("Loss").line("train", 0..3, [3.0, 2.0, 1.5]);
/// let accuracy = Figure::lines("Accuracy").line("train", 0..3, [0.1, 0.5, 0.6]);
/// let figure = plot::row([loss, accuracy]).title("Half an epoch is enough");
/// # assert!(figure.png().is_ok());
/// ```
pub fn row(panels: impl IntoIterator<Item = Figure>) -> Figure {
    let panels: Vec<Figure> = panels.into_iter().collect();
    grid(panels.len().max(1), panels)
}

/// Puts figures into rows of `columns` panels, from left to right and top to bottom.
///
/// ```
/// use llm_course::plot::{self, Figure};
///
/// let heads = (0..4).map(|head| Figure::heatmap(format!("head {head}"), [[1.0, 0.0], [0.3, 0.7]]));
/// # assert!(plot::grid(2, heads).png().is_ok());
/// ```
pub fn grid(columns: usize, panels: impl IntoIterator<Item = Figure>) -> Figure {
    let panels: Vec<Figure> = panels.into_iter().collect();
    let mistake = match (columns, panels.len()) {
        (0, _) => Some("a grid of 0 columns: give at least 1".to_owned()),
        (_, 0) => Some("a row or grid without figures: give at least one".to_owned()),
        _ => panels.iter().find_map(|panel| panel.mistake.clone()),
    };
    let columns = columns.min(panels.len()).max(1);
    Figure { mistake, ..Figure::new("", Kind::Grid(Grid { columns, panels })) }
}

impl Grid {
    /// The width of each column and the height of each row.
    fn tracks(&self) -> (Vec<u32>, Vec<u32>) {
        let share = (SHARED / self.columns as u32).max(240);
        let sizes: Vec<(u32, u32)> = self.panels.iter().map(|panel| panel.measured(Some(share))).collect();
        let rows = || sizes.chunks(self.columns);
        let width = |column| {
            rows().filter_map(|row| row.get(column)).map(|size: &(u32, u32)| size.0).max().unwrap_or(0)
        };
        let heights = rows().map(|row| row.iter().map(|size| size.1).max().unwrap_or(0));
        ((0..self.columns).map(width).collect(), heights.collect())
    }

    pub fn measured(&self, figure: &Figure) -> (u32, u32) {
        let (widths, heights) = self.tracks();
        let width: u32 = widths.iter().sum::<u32>().max(120);
        let title = frame::title_height(figure, width.into());
        (width, (heights.iter().sum::<u32>() + title.ceil() as u32).max(120))
    }

    pub fn draw(&self, canvas: &mut Canvas, body: Rect) {
        let (widths, heights) = self.tracks();
        // The panels bring their own margins.
        let mut top = body.top - MARGIN;
        for (row, height) in self.panels.chunks(self.columns).zip(heights) {
            let titles = row.iter().zip(&widths).map(|(p, width)| frame::title_height(p, f64::from(*width)));
            // Plots of a row begin at the same height, whatever their titles take.
            let title_height = titles.fold(0.0, f64::max);
            let mut left = body.left - MARGIN;
            for (panel, width) in row.iter().zip(&widths) {
                panel.draw(canvas, Rect::new(left, top, (*width).into(), height.into()), title_height);
                left += f64::from(*width);
            }
            top += f64::from(height);
        }
    }
}
