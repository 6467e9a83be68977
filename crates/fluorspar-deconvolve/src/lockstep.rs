//! AR(1) without gaps, eight traces at a time.
//!
//! Whether a sample joins the pool at hand is close to a coin toss on noise,
//! and a processor that guesses wrong loses more time than the arithmetic
//! takes. So this loop does not branch: each lane has its own stack and its own
//! place in time, and every step either closes two pools, or takes up a
//! sample, by selection in vector registers. Only where registers hold eight
//! doubles is that faster than [`crate::pools::pass`]; the numbers are the
//! same to the last bit.

use pulp::{Arch, Simd, WithSimd};

use crate::pools::{LEAST, Pool};

/// Traces in lock step.
pub(crate) const LANES: usize = 8;
/// One number per trace.
pub(crate) type Wide = [f64; LANES];

/// One pool per trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    above: Wide,
    below: Wide,
    power: Wide,
    start: Wide,
}

/// Below every stack: nothing merges with it, since nothing is less than `0 × below`.
const BOTTOM: Row = Row {
    above: [0.0; LANES],
    below: [0.0; LANES],
    power: [0.0; LANES],
    start: [0.0; LANES],
};

/// Whether this processor gains by it.
pub(crate) fn worthwhile() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        matches!(Arch::new(), Arch::V4(_))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Stacks of eight traces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lockstep {
    frames: Vec<Wide>,
    rows: Vec<Row>,
    top: [usize; LANES],
}

impl Lockstep {
    /// Bytes for traces of this length.
    pub(crate) const fn workspace(samples: usize) -> usize {
        samples * size_of::<Wide>() + (samples + 2) * size_of::<Row>()
    }

    /// Solves eight traces of one length, each less its shift, for λ = 0.
    pub(crate) fn solve(&mut self, traces: &[&[f32]; LANES], shifts: &Wide, g: f64, smallest: f64) {
        let samples = traces.iter().map(|t| t.len()).min().unwrap_or(0);
        self.top = [0; LANES];
        if samples == 0 {
            return;
        }
        self.frames.resize(samples, [0.0; LANES]);
        let traces: [&[f32]; LANES] = std::array::from_fn(|lane| &traces[lane][..samples]);
        for (t, frame) in self.frames[..samples].iter_mut().enumerate() {
            for lane in 0..LANES {
                frame[lane] = f64::from(traces[lane][t]) - shifts[lane];
            }
        }
        self.rows.resize(samples + 2, BOTTOM);
        self.rows[0] = BOTTOM;
        self.top = Arch::new().dispatch(Pass {
            frames: &self.frames[..samples],
            rows: &mut self.rows[..samples + 2],
            g,
            smallest,
        });
    }

    /// The pools of one lane, in order.
    pub(crate) fn pools(&self, lane: usize, pools: &mut Vec<Pool>) {
        pools.clear();
        pools.extend(self.rows[1..].iter().take(self.top[lane]).map(|row| Pool {
            above: row.above[lane],
            below: row.below[lane],
            power: row.power[lane],
            start: row.start[lane],
        }));
    }
}

struct Pass<'a> {
    frames: &'a [Wide],
    rows: &'a mut [Row],
    g: f64,
    smallest: f64,
}

impl WithSimd for Pass<'_> {
    type Output = [usize; LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self {
            frames,
            rows,
            g,
            smallest,
        } = self;
        let last = frames.len() - 1;
        let mut top = [0_usize; LANES];
        let mut next = [1_usize; LANES];
        let mut above = frames[0];
        let mut below = [1.0; LANES];
        let mut power = [g; LANES];
        let mut start = [0.0; LANES];
        loop {
            let mut before = BOTTOM;
            let mut fresh = [0.0; LANES];
            for lane in 0..LANES {
                let row = &rows[top[lane]];
                before.above[lane] = row.above[lane];
                before.below[lane] = row.below[lane];
                before.power[lane] = row.power[lane];
                before.start[lane] = row.start[lane];
                fresh[lane] = frames[next[lane].min(last)][lane];
            }
            // Stored above the stack whether or not it is pushed; what follows decides.
            #[allow(clippy::manual_memcpy, reason = "each lane has a row of its own")]
            for lane in 0..LANES {
                let row = &mut rows[top[lane] + 1];
                row.above[lane] = above[lane];
                row.below[lane] = below[lane];
                row.power[lane] = power[lane];
                row.start[lane] = start[lane];
            }
            let mut rise = [0_i64; LANES];
            let mut taken = [0_i64; LANES];
            let mut active = 0_i64;
            for lane in 0..LANES {
                let pop = (above[lane] - smallest * below[lane]) * before.below[lane]
                    < before.above[lane].max(0.0) * before.power[lane] * below[lane];
                let more = next[lane] <= last;
                let absorb =
                    (fresh[lane] - smallest) * below[lane] < above[lane].max(0.0) * power[lane];
                let join = pop | absorb;
                let act = pop | more;
                let left = (
                    if pop { before.above[lane] } else { above[lane] },
                    if pop { before.below[lane] } else { below[lane] },
                    if pop { before.power[lane] } else { power[lane] },
                );
                let right = (
                    if pop { above[lane] } else { fresh[lane] },
                    if pop { below[lane] } else { 1.0 },
                    if pop { power[lane] } else { g },
                );
                let joined = (
                    left.0 + left.2 * right.0,
                    left.1 + left.2 * left.2 * right.1,
                    (left.2 * right.2).max(LEAST),
                );
                let began = if pop { before.start[lane] } else { start[lane] };
                let to = (
                    if join { joined.0 } else { fresh[lane] },
                    if join { joined.1 } else { 1.0 },
                    if join { joined.2 } else { g },
                    if join {
                        began
                    } else {
                        next[lane] as i64 as f64
                    },
                );
                above[lane] = if act { to.0 } else { above[lane] };
                below[lane] = if act { to.1 } else { below[lane] };
                power[lane] = if act { to.2 } else { power[lane] };
                start[lane] = if act { to.3 } else { start[lane] };
                rise[lane] = i64::from(!join & act) - i64::from(pop);
                taken[lane] = i64::from(!pop & act);
                active |= i64::from(act);
            }
            for lane in 0..LANES {
                top[lane] = (top[lane] as i64 + rise[lane]) as usize;
                next[lane] = (next[lane] as i64 + taken[lane]) as usize;
            }
            if active == 0 {
                break;
            }
        }
        top.map(|top| top + 1)
    }
}
