//! From an image of weights to the outline of one cell.

/// A rectangle of pixels, rows and columns of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rectangle {
    pub(crate) y: std::ops::Range<usize>,
    pub(crate) x: std::ops::Range<usize>,
}

impl Rectangle {
    /// The smallest that holds all pixels of an image `width` wide.
    pub(crate) fn around(pixels: impl Iterator<Item = usize>, width: usize) -> Self {
        let mut all: Option<Self> = None;
        for pixel in pixels {
            let (v, u) = (pixel / width, pixel % width);
            let Self { y, x } = all.take().unwrap_or(Self {
                y: v..v + 1,
                x: u..u + 1,
            });
            all = Some(Self {
                y: y.start.min(v)..y.end.max(v + 1),
                x: x.start.min(u)..x.end.max(u + 1),
            });
        }
        all.unwrap_or(Self { y: 0..0, x: 0..0 })
    }

    /// Wider by `reach` on all sides, inside an image.
    pub(crate) fn wider(&self, reach: usize, height: usize, width: usize) -> Self {
        Self {
            y: self.y.start.saturating_sub(reach)..(self.y.end + reach).min(height),
            x: self.x.start.saturating_sub(reach)..(self.x.end + reach).min(width),
        }
    }

    /// Whether a point lies in it, pixels being unit squares about their centres.
    pub(crate) fn holds(&self, y: f64, x: f64) -> bool {
        let inside = |v: f64, range: &std::ops::Range<usize>| {
            v >= range.start as f64 - 0.5 && v < range.end as f64 - 0.5
        };
        inside(y, &self.y) && inside(x, &self.x)
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.y.start < other.y.end
            && other.y.start < self.y.end
            && self.x.start < other.x.end
            && other.x.start < self.x.end
    }

    /// Its pixels row by row, counted in an image `width` wide.
    pub(crate) fn pixels(&self, width: usize) -> impl Iterator<Item = usize> + use<> {
        let x = self.x.clone();
        self.y
            .clone()
            .flat_map(move |y| x.clone().map(move |x| y * width + x))
    }
}

/// A cell cut out of an image of weights.
pub(crate) struct Outline {
    /// Positions within the window, row by row, ascending.
    pub(crate) inside: Vec<usize>,
    /// Their weights, smoothed where the image itself is low.
    pub(crate) weights: Vec<f32>,
}

/// Cuts a cell out of `image`, weights of the pixels of `window` row by row:
/// from the largest weight in `near`, the connected pixels above `share` of
/// the plateau (the mean of the largest quarter), holes filled.
pub(crate) fn outline(
    window: &Rectangle,
    image: &[f32],
    near: &Rectangle,
    share: f64,
) -> Option<Outline> {
    let (rows, columns) = (window.y.len(), window.x.len());
    let smooth = soften(image, rows, columns);
    let mut start = None;
    let mut best = 0.0;
    for (k, &value) in smooth.iter().enumerate() {
        let (y, x) = (window.y.start + k / columns, window.x.start + k % columns);
        if near.y.contains(&y) && near.x.contains(&x) && value > best {
            best = value;
            start = Some(k);
        }
    }
    let start = start?;
    // The plateau depends on the footprint and the footprint on the plateau.
    let mut plateau = best;
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside = connected(&smooth, rows, columns, start, share as f32 * plateau);
        let mut values: Vec<f32> = (0..image.len())
            .filter(|&k| inside[k])
            .map(|k| smooth[k])
            .collect();
        let quarter = values.len().div_ceil(4);
        values.select_nth_unstable_by(quarter - 1, |a, b| b.total_cmp(a));
        plateau = values[..quarter].iter().sum::<f32>() / quarter as f32;
    }
    fill_holes(&mut inside, rows, columns);
    let mut found = Outline {
        inside: Vec::new(),
        weights: Vec::new(),
    };
    for k in (0..image.len()).filter(|&k| inside[k]) {
        let weight = image[k].max(0.5 * smooth[k]);
        if weight.is_finite() && weight > 0.0 {
            found.inside.push(k);
            found.weights.push(weight);
        }
    }
    (!found.inside.is_empty()).then_some(found)
}

/// A light blur so that single noisy pixels do not fray the outline.
fn soften(image: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut across = vec![0.0; image.len()];
    for y in 0..rows {
        let row = &image[y * columns..(y + 1) * columns];
        for x in 0..columns {
            let (a, b) = (x.saturating_sub(1), (x + 1).min(columns - 1));
            across[y * columns + x] = 0.15 * (row[a] + row[b]) + 0.7 * row[x];
        }
    }
    let mut out = vec![0.0; image.len()];
    for y in 0..rows {
        let (a, b) = (y.saturating_sub(1), (y + 1).min(rows - 1));
        for x in 0..columns {
            out[y * columns + x] = 0.15 * (across[a * columns + x] + across[b * columns + x])
                + 0.7 * across[y * columns + x];
        }
    }
    out
}

/// Pixels above `level` that are connected to `start` along rows and columns.
fn connected(image: &[f32], rows: usize, columns: usize, start: usize, level: f32) -> Vec<bool> {
    let mut inside = vec![false; image.len()];
    let mut todo = vec![start];
    inside[start] = true;
    while let Some(k) = todo.pop() {
        let (y, x) = (k / columns, k % columns);
        let mut visit = |k: usize| {
            if !inside[k] && image[k] > level {
                inside[k] = true;
                todo.push(k);
            }
        };
        if y > 0 {
            visit(k - columns);
        }
        if y + 1 < rows {
            visit(k + columns);
        }
        if x > 0 {
            visit(k - 1);
        }
        if x + 1 < columns {
            visit(k + 1);
        }
    }
    inside
}

/// Adds what cannot be reached from the window's border.
fn fill_holes(inside: &mut [bool], rows: usize, columns: usize) {
    // Padded by one pixel on each side, so that the outside is connected.
    let (wide, high) = (columns + 2, rows + 2);
    let mut outside = vec![0.0_f32; wide * high];
    for y in 0..high {
        for x in 0..wide {
            let free = y == 0
                || x == 0
                || y == high - 1
                || x == wide - 1
                || !inside[(y - 1) * columns + x - 1];
            outside[y * wide + x] = f32::from(u8::from(free));
        }
    }
    let reached = connected(&outside, high, wide, 0, 0.5);
    for y in 0..rows {
        for x in 0..columns {
            if !reached[(y + 1) * wide + x + 1] {
                inside[y * columns + x] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_filled_and_a_bay_is_not() {
        let rows = [
            ".....", //
            ".###.", ".#.#.", ".###.", ".#.#.",
        ];
        let mut inside: Vec<bool> = rows.concat().chars().map(|c| c == '#').collect();
        fill_holes(&mut inside, 5, 5);
        let text: String = inside.iter().map(|&i| if i { '#' } else { '.' }).collect();
        assert_eq!(
            text,
            ".....\
                          .###.\
                          .###.\
                          .###.\
                          .#.#."
        );
    }

    #[test]
    fn rectangles_hold_their_pixels() {
        let all = Rectangle::around([7, 12, 31].into_iter(), 10);
        assert_eq!(all, Rectangle { y: 0..4, x: 1..8 });
        assert_eq!(all.wider(2, 5, 9), Rectangle { y: 0..5, x: 0..9 });
        assert_eq!(all.pixels(10).count(), 28);
        assert!(all.holds(3.4, 7.4) && !all.holds(3.6, 7.0));
        assert_eq!(
            Rectangle::around(std::iter::empty(), 10).pixels(10).count(),
            0
        );
    }
}
