use std::collections::BTreeMap;

use super::Outline;

/// Right, down, left, up: a turn to the right is the next one.
const WAYS: [(isize, isize); 4] = [(0, 1), (1, 0), (0, -1), (-1, 0)];

/// Closed polygons around the pixels of `indices` (flat `y · width + x`, in
/// any order), corners `(y, x)` on pixel corners: pixel `(0, 0)` spans 0 to 1.
///
/// Outer borders run clockwise on the screen, those of holes the other way;
/// pixels that touch at a corner alone have borders of their own. Corners
/// stand where the border turns, so a straight run is two corners however long
/// it is. Nothing for a `width` of 0.
pub fn polygons(indices: &[u32], width: usize) -> Outline {
    if width == 0 {
        return Vec::new();
    }
    let mut pixels: Vec<(isize, isize)> = indices
        .iter()
        .map(|&index| {
            let index = index as usize;
            ((index / width) as isize, (index % width) as isize)
        })
        .collect();
    pixels.sort_unstable();
    pixels.dedup();
    let outside = |y: isize, x: isize| pixels.binary_search(&(y, x)).is_err();

    // From each corner the ways in which the border goes on, pixels to its right.
    let mut border: BTreeMap<(isize, isize), [bool; 4]> = BTreeMap::new();
    for &(y, x) in &pixels {
        for (way, corner, free) in [
            (0, (y, x), outside(y - 1, x)),
            (1, (y, x + 1), outside(y, x + 1)),
            (2, (y + 1, x + 1), outside(y + 1, x)),
            (3, (y + 1, x), outside(y, x - 1)),
        ] {
            if free {
                border.entry(corner).or_default()[way] = true;
            }
        }
    }

    let mut polygons = Vec::new();
    while let Some((&start, &ways)) = border.first_key_value() {
        let Some(first) = ways.iter().position(|&open| open) else {
            border.remove(&start);
            continue;
        };
        let mut polygon = Vec::new();
        let (mut corner, mut way) = (start, first);
        loop {
            if let Some(ways) = border.get_mut(&corner) {
                ways[way] = false;
            }
            corner = (corner.0 + WAYS[way].0, corner.1 + WAYS[way].1);
            // To the right first: it stays with the pixel it went along where
            // two meet at a corner.
            let open = border.get(&corner).copied().unwrap_or_default();
            let next = [1, 0, 3].map(|turn| (way + turn) % 4);
            let next = next.into_iter().find(|&next| open[next]);
            if next != Some(way) {
                polygon.push((corner.0 as f32, corner.1 as f32));
            }
            match next {
                Some(next) => way = next,
                None => break,
            }
        }
        polygons.push(polygon);
    }
    polygons
}
