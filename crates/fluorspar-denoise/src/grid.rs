//! Half-overlapping blocks, the tiles they share, and the weights that blend them.

use std::ops::Range;

use fluorspar_movie::MovieShape;

use crate::Blocks;

/// One axis cut into tiles of nearly equal length. Where blocks overlap, block
/// `k` is tiles `k` and `k + 1`, so that every tile but the outermost lies in
/// exactly two blocks; else every tile is a block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    edges: Vec<usize>,
    overlap: bool,
}

impl Axis {
    /// Blocks of about `block` pixels, half a block apart; a single one if the
    /// axis is not longer than that.
    pub(crate) fn overlapping(length: usize, block: usize) -> Self {
        let tiles = if length <= block {
            1
        } else {
            ((2 * length + block / 2) / block).max(2)
        };
        Self {
            edges: (0..=tiles).map(|k| k * length / tiles).collect(),
            overlap: tiles > 1,
        }
    }

    /// Blocks of `block` pixels side by side.
    pub(crate) fn disjoint(length: usize, block: usize) -> Self {
        let tiles = length.div_ceil(block.max(1)).max(1);
        Self {
            edges: (0..=tiles).map(|k| k * length / tiles).collect(),
            overlap: false,
        }
    }

    pub(crate) fn tiles(&self) -> usize {
        self.edges.len() - 1
    }

    pub(crate) fn tile(&self, index: usize) -> Range<usize> {
        self.edges[index]..self.edges[index + 1]
    }

    pub(crate) fn blocks(&self) -> usize {
        self.tiles() - usize::from(self.overlap)
    }

    /// Tiles of a block.
    pub(crate) fn tiles_of(&self, block: usize) -> Range<usize> {
        block..block + 1 + usize::from(self.overlap)
    }

    /// Blocks that a tile lies in.
    pub(crate) fn blocks_of(&self, tile: usize) -> Range<usize> {
        if self.overlap {
            tile.saturating_sub(1)..(tile + 1).min(self.blocks())
        } else {
            tile..tile + 1
        }
    }

    /// Weight of `block` at the pixels of its `tile`: a straight ramp between
    /// the two blocks that share it, so that the weights sum to one.
    pub(crate) fn weights(&self, block: usize, tile: usize) -> Vec<f32> {
        let length = self.tile(tile).len();
        if self.blocks_of(tile).len() == 1 {
            return vec![1.0; length];
        }
        let rising = tile > block;
        (0..length)
            .map(|at| {
                let from_start = (at as f32 + 0.5) / length as f32;
                // In its second tile a block makes way for the next.
                if rising { 1.0 - from_start } else { from_start }
            })
            .collect()
    }
}

/// The blocks and tiles of a volume `(plane, y, x)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid {
    pub(crate) planes: Axis,
    pub(crate) rows: Axis,
    pub(crate) columns: Axis,
    height: usize,
    width: usize,
}

/// Place of a block or tile along `(plane, y, x)`.
pub(crate) type Place = [usize; 3];

impl Grid {
    pub(crate) fn new(shape: MovieShape, blocks: Blocks) -> Self {
        let planes = if blocks.planes == 1 {
            Axis::disjoint(shape.planes, 1)
        } else {
            Axis::overlapping(shape.planes, blocks.planes)
        };
        Self {
            planes,
            rows: Axis::overlapping(shape.height, blocks.side),
            columns: Axis::overlapping(shape.width, blocks.side),
            height: shape.height,
            width: shape.width,
        }
    }

    fn axes(&self) -> [&Axis; 3] {
        [&self.planes, &self.rows, &self.columns]
    }

    pub(crate) fn blocks(&self) -> usize {
        self.axes().iter().map(|axis| axis.blocks()).product()
    }

    pub(crate) fn tiles(&self) -> usize {
        self.axes().iter().map(|axis| axis.tiles()).product()
    }

    fn place(index: usize, counts: [usize; 3]) -> Place {
        [
            index / (counts[1] * counts[2]),
            index / counts[2] % counts[1],
            index % counts[2],
        ]
    }

    fn tile_place(&self, tile: usize) -> Place {
        Self::place(tile, self.axes().map(Axis::tiles))
    }

    fn block_place(&self, block: usize) -> Place {
        Self::place(block, self.axes().map(Axis::blocks))
    }

    /// Tiles of a block, in order.
    pub(crate) fn tiles_of(&self, block: usize) -> Vec<usize> {
        let [z, y, x] = self.block_place(block);
        let (rows, columns) = (self.rows.tiles(), self.columns.tiles());
        let mut tiles = Vec::new();
        for z in self.planes.tiles_of(z) {
            for y in self.rows.tiles_of(y) {
                for x in self.columns.tiles_of(x) {
                    tiles.push((z * rows + y) * columns + x);
                }
            }
        }
        tiles
    }

    /// Blocks that a tile lies in, in order.
    pub(crate) fn blocks_of(&self, tile: usize) -> Vec<usize> {
        let [z, y, x] = self.tile_place(tile);
        let (rows, columns) = (self.rows.blocks(), self.columns.blocks());
        let mut blocks = Vec::new();
        for z in self.planes.blocks_of(z) {
            for y in self.rows.blocks_of(y) {
                for x in self.columns.blocks_of(x) {
                    blocks.push((z * rows + y) * columns + x);
                }
            }
        }
        blocks
    }

    /// Extent of a tile along `(plane, y, x)`.
    pub(crate) fn tile(&self, tile: usize) -> [Range<usize>; 3] {
        let [z, y, x] = self.tile_place(tile);
        [self.planes.tile(z), self.rows.tile(y), self.columns.tile(x)]
    }

    /// Extent of a block along `(plane, y, x)`.
    pub(crate) fn block(&self, block: usize) -> [Range<usize>; 3] {
        let place = self.block_place(block);
        let mut axes = self.axes().into_iter().zip(place).map(|(axis, k)| {
            let tiles = axis.tiles_of(k);
            axis.tile(tiles.start).start..axis.tile(tiles.end - 1).end
        });
        [(); 3].map(|()| axes.next().unwrap_or(0..0))
    }

    /// Pixels of a tile.
    pub(crate) fn tile_len(&self, tile: usize) -> usize {
        self.tile(tile).iter().map(ExactSizeIterator::len).product()
    }

    /// First pixel and length of each image line of a tile; pixels count
    /// `(plane · height + y) · width + x`.
    pub(crate) fn lines(&self, tile: usize) -> Vec<Range<usize>> {
        let [z, y, x] = self.tile(tile);
        z.flat_map(|z| y.clone().map(move |y| (z, y)))
            .map(|(z, y)| {
                let line = (z * self.height + y) * self.width;
                line + x.start..line + x.end
            })
            .collect()
    }

    /// The image lines that `tile` lies in, each as wide as the image.
    pub(crate) fn image_lines(&self, tile: usize) -> Vec<Range<usize>> {
        let [planes, rows, _] = self.tile(tile);
        planes
            .flat_map(|plane| rows.clone().map(move |y| plane * self.height + y))
            .map(|line| line * self.width..(line + 1) * self.width)
            .collect()
    }

    /// Where the lines of `tile` lie in the image `(plane, y, x)` of `block`,
    /// in the order of [`lines`](Self::lines).
    pub(crate) fn lines_within(&self, block: usize, tile: usize) -> Vec<Range<usize>> {
        let [planes, rows, columns] = self.block(block);
        let [z, y, x] = self.tile(tile);
        z.flat_map(|z| y.clone().map(move |y| (z, y)))
            .map(|(z, y)| {
                let line = (z - planes.start) * rows.len() + y - rows.start;
                let first = line * columns.len();
                first + x.start - columns.start..first + x.end - columns.start
            })
            .collect()
    }

    /// Weights of `block` at the pixels of one of its tiles, in the order of
    /// [`lines`](Self::lines).
    pub(crate) fn weights(&self, block: usize, tile: usize) -> Vec<f32> {
        let (at, within) = (self.block_place(block), self.tile_place(tile));
        let along = |k: usize| self.axes()[k].weights(at[k], within[k]);
        let (z, y, x) = (along(0), along(1), along(2));
        let mut weights = Vec::with_capacity(z.len() * y.len() * x.len());
        for &a in &z {
            for &b in &y {
                weights.extend(x.iter().map(|&c| a * b * c));
            }
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_everywhere() {
        for (planes, height, width, side, deep) in [
            (1, 100, 37, 32, 1),
            (1, 31, 33, 32, 1),
            (5, 17, 64, 8, 1),
            (5, 17, 64, 8, 2),
            (3, 5, 5, 4, 4),
            (1, 512, 640, 32, 1),
        ] {
            let shape = MovieShape::new(1, planes, height, width);
            let grid = Grid::new(shape, Blocks { planes: deep, side });
            let mut sum = vec![0.0_f64; shape.frame_len()];
            let mut times = vec![0; shape.frame_len()];
            for block in 0..grid.blocks() {
                for tile in grid.tiles_of(block) {
                    assert!(grid.blocks_of(tile).contains(&block));
                    let pixels = grid.lines(tile).into_iter().flatten();
                    for (pixel, weight) in pixels.zip(grid.weights(block, tile)) {
                        assert!(weight > 0.0);
                        sum[pixel] += f64::from(weight);
                        times[pixel] += 1;
                    }
                }
            }
            assert!(sum.iter().all(|s| (s - 1.0).abs() < 1e-6));
            assert!(times.iter().all(|&n| n <= 8));
            let pixels: usize = (0..grid.tiles()).map(|t| grid.tile_len(t)).sum();
            assert_eq!(pixels, shape.frame_len());
        }
    }

    #[test]
    fn blocks_have_about_the_size_asked_for() {
        for length in 20..300 {
            let axis = Axis::overlapping(length, 32);
            for block in 0..axis.blocks() {
                let tiles = axis.tiles_of(block);
                let side = axis.tile(tiles.end - 1).end - axis.tile(tiles.start).start;
                assert!(
                    side <= 42 && (length < 24 || side >= 24),
                    "{length}: {side}"
                );
            }
        }
    }
}
