use ndarray::{ArrayView2, ArrayViewMut2, Axis};
#[cfg(feature = "parallel")]
use rayon::prelude::*;

use crate::Error;
use crate::lockstep::{LANES, Lockstep, worthwhile};
use crate::pools::{self, Pool, check_g};

/// Non-negative AR(1) deconvolution of traces (roi, frame) whose baseline is 0,
/// and nothing else: no noise, no level, as Suite2p does it. `events` has the
/// same shape and the traces' units. Samples that are not finite have no weight.
///
/// Eight traces without gaps go side by side where the processor has AVX-512;
/// the numbers do not depend on it.
///
/// # Errors
/// [`Error::Parameter`] unless `0 < g < 1`; [`Error::Shape`] where the shapes differ.
pub fn nonnegative_ar1(
    traces: ArrayView2<'_, f32>,
    g: f64,
    mut events: ArrayViewMut2<'_, f32>,
) -> Result<(), Error> {
    check_g(g)?;
    if events.dim() != traces.dim() {
        return Err(Error::Shape {
            name: "events",
            found: events.shape().to_vec(),
            expected: traces.shape().to_vec(),
        });
    }
    let chunks = traces.axis_chunks_iter(Axis(0), LANES);
    let outs = events.axis_chunks_iter_mut(Axis(0), LANES);
    let run = |scratch: &mut Scratch, part: ArrayView2<'_, f32>, out: ArrayViewMut2<'_, f32>| {
        group(part, g, out, scratch);
    };
    #[cfg(feature = "parallel")]
    chunks
        .into_par_iter()
        .zip(outs)
        .for_each_init(Scratch::default, |scratch, (part, out)| {
            run(scratch, part, out);
        });
    #[cfg(not(feature = "parallel"))]
    {
        let mut scratch = Scratch::default();
        for (part, out) in chunks.into_iter().zip(outs) {
            run(&mut scratch, part, out);
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Scratch {
    rows: Vec<Vec<f32>>,
    lockstep: Lockstep,
    pools: Vec<Pool>,
    out: Vec<f32>,
}

fn group(
    traces: ArrayView2<'_, f32>,
    g: f64,
    mut events: ArrayViewMut2<'_, f32>,
    scratch: &mut Scratch,
) {
    let Scratch {
        rows,
        lockstep,
        pools,
        out,
    } = scratch;
    rows.resize(LANES, Vec::new());
    // Rows that lie in one piece need no copy.
    for (row, trace) in rows.iter_mut().zip(traces.rows()) {
        row.clear();
        if trace.as_slice().is_none() {
            row.extend(trace.iter());
        }
    }
    let count = traces.nrows();
    let views: Vec<_> = traces.rows().into_iter().collect();
    let slices: [&[f32]; LANES] = std::array::from_fn(|lane| match views.get(lane) {
        Some(view) => view.to_slice().unwrap_or(&rows[lane]),
        None => &[],
    });
    let whole = |trace: &[f32]| trace.iter().all(|v| v.is_finite());
    let together = count == LANES && worthwhile() && slices.iter().all(|trace| whole(trace));
    if together {
        lockstep.solve(&slices, &[0.0; LANES], g, 0.0);
    }
    out.resize(traces.ncols(), 0.0);
    for (lane, mut row) in events.rows_mut().into_iter().enumerate() {
        if together {
            lockstep.pools(lane, pools);
        } else if whole(slices[lane]) {
            pools::pass::<f32, false>(slices[lane], 0.0, 0.0, g, 0.0, pools);
        } else {
            pools::pass::<f32, true>(slices[lane], 0.0, 0.0, g, 0.0, pools);
        }
        if let Some(row) = row.as_slice_mut() {
            pools::write(pools, g, row, None);
        } else {
            pools::write(pools, g, out, None);
            row.iter_mut()
                .zip(&*out)
                .for_each(|(slot, &value)| *slot = value);
        }
    }
}
