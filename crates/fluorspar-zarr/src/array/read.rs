//! Regions of an array into a caller's buffer.

use std::ops::Range;

use bytemuck::Pod;
use rayon::prelude::*;

use super::{ArrayFile, cells_across, shard::ABSENT};
use crate::{Error, MissingChunks};

/// How decoded bytes become values of a caller's buffer.
pub(crate) struct Place<'a, U> {
    /// Values of the buffer per element of the array.
    pub(crate) unit: usize,
    /// Converts a run of native-endian elements.
    pub(crate) put: &'a (dyn Fn(&[u8], &mut [U]) + Sync),
    /// `put` would only copy bytes.
    pub(crate) plain: bool,
}

/// Buffers that reading uses again and again.
#[derive(Default)]
pub(super) struct Scratch {
    encoded: Vec<u8>,
    decoded: Vec<u8>,
}

/// The rows of the output that belong to one row of cells along the first axis.
struct Slab<'a, U> {
    index: usize,
    first: Range<usize>,
    out: &'a mut [U],
}

impl ArrayFile {
    /// Reads `region` (one range per axis, inside the shape) row-major into `out`.
    pub(crate) fn read_region<U: Pod + Send>(
        &self,
        region: &[Range<usize>],
        out: &mut [U],
        place: &Place<'_, U>,
    ) -> Result<(), Error> {
        if region.iter().any(Range::is_empty) {
            return Ok(());
        }
        let across = cells_across(&region[1..], &self.cell()[1..]);
        let slabs = self.slabs(region, out, place.unit);
        let threads = rayon::current_num_threads().max(1);
        if across.len() == 1 || slabs.len() >= 2 * threads {
            let results: Vec<Result<(), Error>> = slabs
                .into_par_iter()
                .map_init(
                    || self.spaces.lend(),
                    |scratch, slab| {
                        for rest in &across {
                            let cell = cell_index(slab.index, rest);
                            self.decode_into_slab(
                                &cell,
                                &slab.first,
                                region,
                                slab.out,
                                place,
                                scratch,
                            )?;
                        }
                        Ok(())
                    },
                )
                .collect();
            return results.into_iter().collect();
        }
        // Few slabs, which cells beside each other share: decode some at once, then place.
        for slab in slabs {
            for some in across.chunks(threads) {
                let decoded: Vec<_> = some
                    .par_iter()
                    .map(|rest| {
                        let cell = cell_index(slab.index, rest);
                        let mut data = vec![0; self.cell_bytes()];
                        self.decode_cell(&cell, 0..data.len(), &mut Vec::new(), &mut data)
                            .map(|()| (cell, data))
                    })
                    .collect();
                for result in decoded {
                    let (cell, data) = result?;
                    let part = Overlap::of(&cell, self.cell(), &slab.first, &region[1..]);
                    part.copy(&data, self.element().bytes(), slab.out, place);
                }
            }
        }
        Ok(())
    }

    fn slabs<'a, U>(
        &self,
        region: &[Range<usize>],
        out: &'a mut [U],
        unit: usize,
    ) -> Vec<Slab<'a, U>> {
        let row = region[1..].iter().map(Range::len).product::<usize>() * unit;
        let mut slabs = Vec::new();
        let mut rest = out;
        let mut start = region[0].start;
        while start < region[0].end {
            let index = start / self.cell()[0];
            let stop = ((index + 1) * self.cell()[0]).min(region[0].end);
            let (out, tail) = rest.split_at_mut((stop - start) * row);
            slabs.push(Slab {
                index,
                first: start..stop,
                out,
            });
            rest = tail;
            start = stop;
        }
        slabs
    }

    /// Decodes a cell and puts its part of the region into the slab. Whole rows
    /// of a cell that lie together in the slab are decoded in place.
    fn decode_into_slab<U: Pod>(
        &self,
        cell: &[usize],
        first: &Range<usize>,
        region: &[Range<usize>],
        slab: &mut [U],
        place: &Place<'_, U>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let part = Overlap::of(cell, self.cell(), first, &region[1..]);
        let bytes = self.element().bytes();
        if let Some((from, to, count)) = part.run() {
            let target = &mut slab[to * place.unit..(to + count) * place.unit];
            let stored = from * bytes..(from + count) * bytes;
            if place.plain {
                let target = bytemuck::cast_slice_mut(target);
                return self.decode_cell(cell, stored, &mut scratch.encoded, target);
            }
            scratch.decoded.resize(stored.len(), 0);
            self.decode_cell(cell, stored, &mut scratch.encoded, &mut scratch.decoded)?;
            (place.put)(&scratch.decoded, target);
            return Ok(());
        }
        let all = 0..self.cell_bytes();
        scratch.decoded.resize(all.len(), 0);
        self.decode_cell(cell, all, &mut scratch.encoded, &mut scratch.decoded)?;
        part.copy(&scratch.decoded, bytes, slab, place);
        Ok(())
    }

    /// Decodes the bytes `part` of one cell, native-endian, row-major.
    fn decode_cell(
        &self,
        cell: &[usize],
        part: Range<usize>,
        encoded: &mut Vec<u8>,
        out: &mut [u8],
    ) -> Result<(), Error> {
        let file_index: Vec<usize> = cell
            .iter()
            .zip(&self.parts.cells_per_file)
            .map(|(&i, &n)| i / n)
            .collect();
        let key = self.key(&file_index);
        if self.read_encoded(cell, &file_index, &key, encoded)? {
            return self
                .parts
                .decoder
                .decode(encoded, self.cell(), self.element().bytes(), part, out)
                .map_err(|e| Error::corrupt(self.parts.source.file(&key), cell, e));
        }
        match self.parts.options.missing_chunks {
            MissingChunks::Refuse => Err(Error::MissingChunk {
                path: self.parts.source.file(&key),
                chunk: cell.to_vec(),
            }),
            MissingChunks::Fill => {
                let fill = self.parts.keys.fill_value().as_ne_bytes();
                for one in out.chunks_exact_mut(fill.len().max(1)) {
                    one.copy_from_slice(fill);
                }
                Ok(())
            }
        }
    }

    /// Reads a cell's stored bytes; false if it is not there.
    fn read_encoded(
        &self,
        cell: &[usize],
        file_index: &[usize],
        key: &str,
        into: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let Some(mut blob) = self.parts.source.blob(key)? else {
            return Ok(false);
        };
        let path = || self.parts.source.file(key);
        let length = blob.length();
        let (mut offset, mut stored) = (0, length);
        if let Some(index) = &self.parts.index {
            let entries = self.entries(index, file_index, &mut blob, &path())?;
            let mut position = 0;
            for (&i, &n) in cell.iter().zip(&self.parts.cells_per_file) {
                position = position * n + i % n;
            }
            [offset, stored] = entries[position];
            if [offset, stored] == [ABSENT; 2] {
                return Ok(false);
            }
        }
        if offset.checked_add(stored).is_none_or(|end| end > length) {
            let reason =
                format!("the shard index points to bytes {offset}+{stored} of a file of {length}");
            return Err(Error::corrupt(path(), cell, reason));
        }
        // No codec here more than doubles its input.
        let limit = 2 * self.cell_bytes() as u64 + 65_536;
        if stored > limit {
            return Err(Error::Limit {
                path: path(),
                what: "an encoded chunk",
                asked: u128::from(stored),
                limit,
            });
        }
        blob.read(offset, stored as usize, into)
            .map_err(|e| Error::chunk_io(path(), cell, e))?;
        Ok(true)
    }
}

fn cell_index(first: usize, rest: &[usize]) -> Vec<usize> {
    let mut index = Vec::with_capacity(rest.len() + 1);
    index.push(first);
    index.extend_from_slice(rest);
    index
}

/// What a cell and a slab of the output have in common, along each axis.
struct Overlap {
    count: Vec<usize>,
    /// First element, seen from the cell's and from the slab's corner.
    from: Vec<usize>,
    to: Vec<usize>,
    cell: Vec<usize>,
    slab: Vec<usize>,
}

impl Overlap {
    fn of(index: &[usize], cell: &[usize], first: &Range<usize>, others: &[Range<usize>]) -> Self {
        let axes = cell.len();
        let zeros = || vec![0; axes];
        let mut part = Self {
            count: zeros(),
            from: zeros(),
            to: zeros(),
            cell: cell.to_vec(),
            slab: zeros(),
        };
        for axis in 0..axes {
            let asked = if axis == 0 { first } else { &others[axis - 1] };
            let origin = index[axis] * cell[axis];
            let start = asked.start.max(origin);
            let stop = asked.end.min(origin + cell[axis]);
            part.count[axis] = stop - start;
            part.from[axis] = start - origin;
            part.to[axis] = start - asked.start;
            part.slab[axis] = asked.len();
        }
        part
    }

    /// First element in the cell and in the slab, and number of elements, if
    /// the common part lies in one piece in both.
    fn run(&self) -> Option<(usize, usize, usize)> {
        let axes = self.cell.len();
        // Axes behind the first that is more than one element must be whole.
        let first = (0..axes)
            .find(|&axis| self.count[axis] != 1)
            .unwrap_or(axes - 1);
        let whole = (first + 1..axes)
            .all(|axis| self.count[axis] == self.cell[axis] && self.cell[axis] == self.slab[axis]);
        let place = |start: &[usize], extent: &[usize]| {
            let axes = start.iter().zip(extent);
            axes.fold(0, |at, (start, extent)| at * extent + start)
        };
        let (from, to) = (place(&self.from, &self.cell), place(&self.to, &self.slab));
        whole.then(|| (from, to, self.count.iter().product()))
    }

    /// Copies the common part from the decoded cell to the slab.
    fn copy<U>(&self, data: &[u8], bytes: usize, slab: &mut [U], place: &Place<'_, U>) {
        let axes = self.cell.len();
        // Trailing axes that are whole in both the cell and the output form one run.
        let mut split = axes - 1;
        while split > 0
            && self.count[split] == self.cell[split]
            && self.count[split] == self.slab[split]
        {
            split -= 1;
        }
        let run: usize = self.count[split..].iter().product();
        let mut at = vec![0; split];
        loop {
            let mut source = 0;
            let mut target = 0;
            for axis in 0..axes {
                let step = at.get(axis).copied().unwrap_or(0);
                source = source * self.cell[axis] + self.from[axis] + step;
                target = target * self.slab[axis] + self.to[axis] + step;
            }
            (place.put)(
                &data[source * bytes..(source + run) * bytes],
                &mut slab[target * place.unit..(target + run) * place.unit],
            );
            // Count up, last axis fastest.
            let Some(axis) = (0..split)
                .rev()
                .find(|&axis| at[axis] + 1 < self.count[axis])
            else {
                return;
            };
            at[axis] += 1;
            at[axis + 1..].fill(0);
        }
    }
}
