//! Rectangles and clipping, in CSS pixels with y growing downwards.

/// A point `(x, y)` in CSS pixels.
pub(super) type Point = (f64, f64);

#[derive(Clone, Copy, Debug)]
pub(super) struct Rect {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    pub fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self { left, top, width: width.max(0.0), height: height.max(0.0) }
    }

    pub fn around(centre: Point, width: f64, height: f64) -> Self {
        Self::new(centre.0 - width / 2.0, centre.1 - height / 2.0, width, height)
    }

    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    pub fn centre(&self) -> Point {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// What is left after taking away these margins.
    pub fn shrink(&self, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self::new(self.left + left, self.top + top, self.width - left - right, self.height - top - bottom)
    }

    /// The same with edges at whole pixels of the image, so that neighbours leave no seam.
    pub fn snapped(&self) -> Self {
        let snap = |edge: f64| (2.0 * edge).round() / 2.0;
        let (left, top) = (snap(self.left), snap(self.top));
        Self::new(left, top, snap(self.right()) - left, snap(self.bottom()) - top)
    }

    /// The area that both share.
    pub fn overlap(&self, other: &Rect) -> f64 {
        let width = self.right().min(other.right()) - self.left.max(other.left);
        let height = self.bottom().min(other.bottom()) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    pub fn contains(&self, (x, y): Point) -> bool {
        let within = |v: f64, low: f64, high: f64| v >= low - 0.5 && v <= high + 0.5;
        within(x, self.left, self.right()) && within(y, self.top, self.bottom())
    }

    /// The point of the rectangle that is nearest to `point`.
    pub fn nearest(&self, (x, y): Point) -> Point {
        (x.max(self.left).min(self.right()), y.max(self.top).min(self.bottom()))
    }
}

/// The pieces of a polyline that lie inside `rect`.
pub(super) fn clip(points: &[Point], rect: &Rect) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = clip_segment(pair[0], pair[1], rect) else { continue };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

/// The part of a segment that lies inside `rect` (Liang and Barsky, 1984).
pub(super) fn clip_segment(from: Point, to: Point, rect: &Rect) -> Option<(Point, Point)> {
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let sides = [(from.0, to.0, rect.left, rect.right()), (from.1, to.1, rect.top, rect.bottom())];
    for (start, end, low, high) in sides {
        if start == end && (start < low || start > high) {
            return None;
        } else if start != end {
            let (a, b) = ((low - start) / (end - start), (high - start) / (end - start));
            (enter, leave) = (enter.max(a.min(b)), leave.min(a.max(b)));
        }
    }
    // The end points stay exact, so that neighbouring pieces join.
    let at = |t: f64| match t {
        0.0 => from,
        1.0 => to,
        t => (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1)),
    };
    (enter <= leave).then(|| (at(enter), at(leave)))
}
