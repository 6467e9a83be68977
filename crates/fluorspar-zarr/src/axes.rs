//! Which axis of an array is which axis of a movie.

use std::ops::Range;
use std::path::Path;

use fluorspar_movie::MovieShape;

use crate::Error;
use crate::codec::restore_axes;

/// Where the axes `(t, z, y, x)` of a movie lie in an array.
#[derive(Debug)]
pub(crate) struct Axes {
    /// Per axis of the array: 0 for `t`, 1 `z`, 2 `y`, 3 `x`; `None` for one of
    /// which a single index is read.
    roles: Vec<Option<usize>>,
    channel: usize,
    shape: MovieShape,
}

const NAMES: [char; 4] = ['t', 'z', 'y', 'x'];

impl Axes {
    /// From the array's shape and the names of its axes; `channel` chooses
    /// among several. Without names, three axes are `(t, y, x)` and four `(t, z, y, x)`.
    pub(crate) fn new(
        path: &Path,
        shape: &[usize],
        names: Option<&[Option<String>]>,
        channel: Option<usize>,
    ) -> Result<Self, Error> {
        let known: Vec<Option<char>> = match names {
            Some(names) if names.len() == shape.len() => names
                .iter()
                .map(|name| role(name.as_deref().unwrap_or_default()))
                .collect(),
            _ => vec![None; shape.len()],
        };
        let letters: String = if known.iter().all(Option::is_none) {
            match shape.len() {
                3 => "tyx".into(),
                4 => "tzyx".into(),
                axes => {
                    let reason = format!("{axes} axes; a movie has (t, y, x) or (t, z, y, x)");
                    return Err(Error::unsupported(path, reason));
                }
            }
        } else {
            known.iter().map(|letter| letter.unwrap_or('?')).collect()
        };
        let wrong = |what: &str| {
            let reason = format!("axes {letters} of lengths {shape:?}: {what}");
            Error::unsupported(path, reason)
        };
        let mut roles = Vec::with_capacity(shape.len());
        let mut extents = [None; 4];
        let mut channels = None;
        for (letter, &extent) in letters.chars().zip(shape) {
            let place = NAMES.iter().position(|&name| name == letter);
            roles.push(place);
            let seen = match (place, letter) {
                (Some(place), _) => extents[place].replace(extent),
                (None, 'c') => channels.replace(extent),
                _ if extent == 1 => None,
                _ => return Err(wrong("a movie has axes t, c, z, y and x only")),
            };
            if seen.is_some() {
                return Err(wrong("an axis comes twice"));
            }
        }
        let count = channels.unwrap_or(1);
        let [frames, planes, Some(height), Some(width)] = extents else {
            return Err(wrong("a movie needs y and x"));
        };
        if count == 0 {
            return Err(Error::Empty {
                path: path.into(),
                shape: shape.to_vec(),
            });
        }
        let channel = match channel {
            None if count == 1 => 0,
            Some(index) if index < count => index,
            _ => {
                let path = path.into();
                return Err(Error::Channel { path, count });
            }
        };
        Ok(Self {
            roles,
            channel,
            shape: MovieShape::new(frames.unwrap_or(1), planes.unwrap_or(1), height, width),
        })
    }

    pub(crate) fn shape(&self) -> MovieShape {
        self.shape
    }

    /// The part of the array that a window of frames, planes, rows and columns is.
    pub(crate) fn region(&self, window: [&Range<usize>; 4], array: &[usize]) -> Vec<Range<usize>> {
        self.roles
            .iter()
            .zip(array)
            .map(|(role, &extent)| match role {
                Some(axis) => window[*axis].clone(),
                // An unnamed axis has length 1; of channels, the chosen one is read.
                None if extent == 1 => 0..1,
                None => self.channel..self.channel + 1,
            })
            .collect()
    }

    /// Whether the array's order is the movie's, so that rows are runs in both.
    pub(crate) fn in_order(&self) -> bool {
        self.roles.iter().flatten().is_sorted()
    }

    /// From a region in the array's order to `(t, z, y, x)`.
    pub(crate) fn reorder(
        &self,
        stored: &[u8],
        region: &[Range<usize>],
        element: usize,
        out: &mut [u8],
    ) {
        let mut present: Vec<usize> = self.roles.iter().flatten().copied().collect();
        let stored_order = present.clone();
        present.sort_unstable();
        let extent = |role: &usize| self.position(*role).map_or(1, |axis| region[axis].len());
        let shape: Vec<usize> = present.iter().map(extent).collect();
        let order: Vec<usize> = stored_order
            .iter()
            .filter_map(|role| present.binary_search(role).ok())
            .collect();
        restore_axes(stored, &shape, &order, element, out);
    }

    /// The axis of the array that is the movie's `t` (0), `z`, `y` or `x` (3).
    pub(crate) fn position(&self, role: usize) -> Option<usize> {
        self.roles.iter().position(|&known| known == Some(role))
    }
}

/// What an axis name stands for: `t`, `c`, `z`, `y`, `x`, or `None` if unknown.
fn role(name: &str) -> Option<char> {
    Some(match name.to_ascii_lowercase().as_str() {
        "t" | "time" | "frame" | "frames" => 't',
        "c" | "channel" | "channels" => 'c',
        "z" | "plane" | "planes" | "depth" => 'z',
        "y" | "height" | "row" | "rows" => 'y',
        "x" | "width" | "column" | "columns" => 'x',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(names: &str, shape: &[usize], channel: Option<usize>) -> Result<Axes, Error> {
        let names: Vec<_> = names.chars().map(|c| Some(c.to_string())).collect();
        Axes::new(Path::new("m"), shape, Some(&names), channel)
    }

    #[test]
    fn any_order_of_axes_is_a_movie() {
        for (names, shape, want) in [
            ("tyx", vec![5, 3, 4], MovieShape::new(5, 1, 3, 4)),
            ("tczyx", vec![5, 1, 2, 3, 4], MovieShape::new(5, 2, 3, 4)),
            ("yx", vec![3, 4], MovieShape::new(1, 1, 3, 4)),
            ("zyx", vec![2, 3, 4], MovieShape::new(1, 2, 3, 4)),
            ("xyt", vec![4, 3, 5], MovieShape::new(5, 1, 3, 4)),
            ("tyxs", vec![5, 3, 4, 1], MovieShape::new(5, 1, 3, 4)),
        ] {
            let axes = axes(names, &shape, None).expect(names);
            assert_eq!(axes.shape(), want, "{names}");
            assert_eq!(axes.in_order(), names != "xyt", "{names}");
        }
        for (names, shape) in [
            ("tyxs", vec![5, 3, 4, 3]),
            ("tx", vec![5, 3]),
            ("tyyx", vec![5, 3, 3, 3]),
        ] {
            assert!(matches!(
                axes(names, &shape, None),
                Err(Error::Unsupported { .. })
            ));
        }
    }

    #[test]
    fn a_channel_is_chosen_or_asked_for() {
        let shape = [5, 2, 3, 4];
        for channel in [None, Some(2)] {
            let error = axes("tcyx", &shape, channel).expect_err("two channels");
            assert!(matches!(error, Error::Channel { count: 2, .. }), "{error}");
        }
        let chosen = axes("tcyx", &shape, Some(1)).expect("the second");
        assert_eq!(
            chosen.region([&(1..3), &(0..1), &(0..3), &(0..4)], &shape),
            [1..3, 1..2, 0..3, 0..4]
        );
    }
}
