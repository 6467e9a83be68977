use serde::{Deserialize, Serialize};

/// The tiles that local shifts are estimated in; a node of the displacement
/// field sits in the middle of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Tile boundaries along y in pixels, the first 0, the last the height.
    y: Vec<usize>,
    /// Tile boundaries along x in pixels.
    x: Vec<usize>,
}

/// Most tiles along one side: the smoothing matrix grows with the fourth power.
const MOST: usize = 24;
/// Tile boundaries are multiples of this, so that rows of a tile fill vector
/// registers, at half resolution too.
const MULTIPLE: usize = 16;

impl Grid {
    /// Tiles of about `side` pixels on an image of `height × width`, at most
    /// 24 along each side.
    pub fn new(height: usize, width: usize, side: usize) -> Self {
        let edges = |length: usize| {
            let count = (length as f64 / side.max(1) as f64).round() as usize;
            let count = count.clamp(1, MOST);
            let mut edges: Vec<usize> = (0..count)
                .map(|k| (k * length / count) / MULTIPLE * MULTIPLE)
                .collect();
            edges.push(length);
            edges.dedup();
            edges
        };
        Self {
            y: edges(height),
            x: edges(width),
        }
    }

    /// Rows and columns of nodes.
    pub fn dim(&self) -> (usize, usize) {
        (self.y.len() - 1, self.x.len() - 1)
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.dim().0 * self.dim().1
    }

    /// Height and width of the image in pixels.
    pub fn image_dim(&self) -> (usize, usize) {
        let end = |edges: &[usize]| edges.last().copied().unwrap_or(0);
        (end(&self.y), end(&self.x))
    }

    /// Where the nodes are along y, pixels.
    pub fn y(&self) -> Vec<f32> {
        centres(&self.y)
    }

    /// Where the nodes are along x, pixels.
    pub fn x(&self) -> Vec<f32> {
        centres(&self.x)
    }

    /// First row, end row, first column and end column of tile `index`.
    pub(crate) fn tile(&self, index: usize) -> [usize; 4] {
        let (i, j) = (index / self.dim().1, index % self.dim().1);
        [self.y[i], self.y[i + 1], self.x[j], self.x[j + 1]]
    }
}

fn centres(edges: &[usize]) -> Vec<f32> {
    edges
        .windows(2)
        .map(|pair| (pair[0] + pair[1] - 1) as f32 / 2.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_image() {
        for (height, width, side) in [(512, 512, 32), (2048, 100, 32), (17, 16, 32), (70, 5000, 8)]
        {
            let grid = Grid::new(height, width, side);
            assert_eq!(grid.image_dim(), (height, width));
            let mut covered = vec![0; height * width];
            for index in 0..grid.len() {
                let [y0, y1, x0, x1] = grid.tile(index);
                for y in y0..y1 {
                    for x in x0..x1 {
                        covered[y * width + x] += 1;
                    }
                }
            }
            assert!(covered.iter().all(|&n| n == 1));
        }
    }
}
