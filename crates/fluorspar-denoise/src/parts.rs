//! The search for components cut into parts, each finished and kept as one.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::decimate::SAMPLE;
use crate::grid::Grid;

/// Bytes of a part of the averaged movie if its bins were single frames; a
/// single block may take more.
const PART: usize = 256 << 20;

/// Runs of neighbouring blocks: lines of blocks, in several runs where the
/// movie is long. The cut follows from the movie's shape and the blocks' size
/// alone, so that a part that is finished fits whatever the budget is next time.
pub(crate) fn parts(grid: &Grid, frames: usize) -> Vec<Range<usize>> {
    let across = grid.columns.blocks();
    let lines = grid.blocks() / across;
    let mut parts = Vec::new();
    for first in (0..lines).map(|line| line * across) {
        let bytes = pixels(grid, &tiles(grid, first..first + across)) * frames * SAMPLE;
        let runs = bytes.div_ceil(PART).clamp(1, across);
        let edge = |run: usize| first + run * across / runs;
        parts.extend((0..runs).map(|run| edge(run)..edge(run + 1)));
    }
    parts
}

/// Tiles of some blocks, ascending.
pub(crate) fn tiles(grid: &Grid, blocks: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    let tiles = blocks.into_iter().flat_map(|block| grid.tiles_of(block));
    tiles.collect()
}

/// Pixels of some tiles.
pub(crate) fn pixels(grid: &Grid, tiles: &BTreeSet<usize>) -> usize {
    tiles.iter().map(|&tile| grid.tile_len(tile)).sum()
}

/// Tiles that lie side by side along x, together.
pub(crate) fn runs(grid: &Grid, tiles: &BTreeSet<usize>) -> Vec<Range<usize>> {
    let across = grid.columns.tiles();
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &tile in tiles {
        match runs.last_mut() {
            Some(run) if run.end == tile && tile % across != 0 => run.end += 1,
            _ => runs.push(tile..tile + 1),
        }
    }
    runs
}

/// Takes parts off the front of `parts` whose tiles have at most `room`
/// pixels together, at least one part.
pub(crate) fn band<'a>(
    grid: &Grid,
    parts: &mut &'a [Range<usize>],
    room: usize,
) -> (&'a [Range<usize>], BTreeSet<usize>) {
    let mut all = BTreeSet::new();
    let mut held = 0;
    let mut count = 0;
    for part in *parts {
        let own = tiles(grid, part.clone());
        let more: usize = own.difference(&all).map(|&tile| grid.tile_len(tile)).sum();
        if count > 0 && held + more > room {
            break;
        }
        held += more;
        all.extend(own);
        count += 1;
    }
    let (band, rest) = parts.split_at(count);
    *parts = rest;
    (band, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Blocks;
    use fluorspar_movie::MovieShape;

    fn grid(planes: usize, side: usize, deep: usize) -> Grid {
        let shape = MovieShape::new(1, planes, side, side);
        Grid::new(
            shape,
            Blocks {
                planes: deep,
                side: 16,
            },
        )
    }

    #[test]
    fn parts_hold_every_block_once_in_order() {
        for (planes, side, deep) in [(1, 40, 1), (3, 100, 1), (5, 33, 2), (1, 7, 1)] {
            let grid = grid(planes, side, deep);
            for frames in [16, 10_000, 1_000_000, 100_000_000] {
                let parts = parts(&grid, frames);
                let blocks: Vec<usize> = parts.iter().cloned().flatten().collect();
                assert_eq!(blocks, (0..grid.blocks()).collect::<Vec<_>>());
                let across = grid.columns.blocks();
                for part in &parts {
                    assert_eq!(part.start / across, (part.end - 1) / across);
                    let tiles = tiles(&grid, part.clone());
                    // A tile in which rounding put one block more than its share.
                    let bytes = pixels(&grid, &tiles) * frames * SAMPLE;
                    assert!(part.len() <= 2 || bytes < 2 * PART, "{part:?}: {bytes}");
                    let joined: Vec<usize> = runs(&grid, &tiles).into_iter().flatten().collect();
                    assert_eq!(joined, tiles.into_iter().collect::<Vec<_>>());
                }
            }
            assert_eq!(
                parts(&grid, 16).len(),
                grid.blocks() / grid.columns.blocks()
            );
        }
    }

    #[test]
    fn bands_take_what_there_is_room_for() {
        let grid = grid(1, 128, 1);
        let parts = parts(&grid, 100);
        for room in [0, 3000, 7000, 1 << 20] {
            let mut rest = &parts[..];
            let mut all = Vec::new();
            while !rest.is_empty() {
                let (band, tiles) = band(&grid, &mut rest, room);
                assert!(band.len() == 1 || pixels(&grid, &tiles) <= room);
                let blocks = band.iter().cloned().flatten();
                assert_eq!(tiles, super::tiles(&grid, blocks));
                all.extend_from_slice(band);
            }
            assert_eq!(all, parts);
        }
    }
}
