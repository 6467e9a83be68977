use std::collections::HashMap;

use super::LowRank;

/// Pixels that have the same components. Those of a tile usually do, so there
/// are far fewer groups than pixels, whatever the sizes of blocks.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    /// Components of each group, ascending.
    pub(super) components: Vec<&'a [u32]>,
    /// The group of each pixel.
    pub(super) of: Vec<u32>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(movie: &'a LowRank) -> Self {
        let mut components: Vec<&[u32]> = Vec::new();
        let mut known: HashMap<&[u32], u32> = HashMap::new();
        let mut of = Vec::with_capacity(movie.pixels());
        let mut last = 0;
        for pixel in 0..movie.pixels() {
            let list = movie.row(pixel).0;
            // Most pixels have what the one before has.
            if components.get(last as usize) != Some(&list) {
                last = *known.entry(list).or_insert_with(|| {
                    components.push(list);
                    components.len() as u32 - 1
                });
            }
            of.push(last);
        }
        Self { components, of }
    }

    /// The pixels of each group, ascending, in pieces of at most `most`.
    pub(super) fn pieces(&self, most: usize) -> Vec<(usize, Vec<u32>)> {
        let mut pixels: Vec<Vec<u32>> = vec![Vec::new(); self.components.len()];
        for (pixel, &group) in self.of.iter().enumerate() {
            pixels[group as usize].push(pixel as u32);
        }
        pixels
            .iter()
            .enumerate()
            .flat_map(|(group, pixels)| {
                pixels
                    .chunks(most)
                    .map(move |piece| (group, piece.to_vec()))
            })
            .collect()
    }

    /// The groups that have each component, ascending.
    pub(super) fn having(&self, rank: usize) -> Vec<Vec<u32>> {
        let mut having = vec![Vec::new(); rank];
        for (group, components) in self.components.iter().enumerate() {
            for &component in *components {
                having[component as usize].push(group as u32);
            }
        }
        having
    }
}
