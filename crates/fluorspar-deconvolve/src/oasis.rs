use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};
#[cfg(feature = "parallel")]
use rayon::prelude::*;

use crate::estimate::{self, Estimate, LOOK};
use crate::exact::{PRECISION, constrain};
use crate::interior::{Interior, Problem};
use crate::lockstep::{LANES, Lockstep, worthwhile};
use crate::noise::{FEWEST, Meter};
use crate::parameters::{Baseline, Parameters, Sparsity};
use crate::pools::{self, Pool};
use crate::{Ar1, Error, Kernel, Learning, level};

/// Samples that a baseline is judged by, at most, evenly spread.
const LEVEL_SAMPLES: usize = 4096;
/// How far below the silent level traces are taken to lie if nothing but the
/// sign restrains events, standard deviations of the noise. At the level
/// itself, whatever lies below is cut off, and small events drown in what is
/// left of the noise; far below, noise is not told from events at all. The best
/// of 0, ½, 1 and 1½ in simulations of slow and fast, linear and supralinear
/// indicators.
const SLACK: f64 = 0.5;
/// Rounds of a joint baseline.
const JOINT_ROUNDS: usize = 6;

/// Deconvolves traces.
///
/// One trace: [`Oasis::deconvolve`]. Many at once: [`Oasis::deconvolve_all`].
/// More than fit into memory: [`Oasis::learning`] from block after block, then
/// [`Oasis::deconvolve_block`] for each.
#[derive(Clone, Debug)]
pub struct Oasis {
    parameters: Parameters,
}

/// What was found in one trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Calcium above the baseline (T,), the trace's units.
    pub calcium: Vec<f32>,
    /// Events (T,): the height in the trace's units that calcium would reach after each alone.
    pub events: Vec<f32>,
    /// The rest.
    pub report: Report,
}

/// What is known of a trace beside its events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Level of the silent trace, its units.
    pub baseline: f32,
    /// Standard deviation of the noise, the trace's units.
    pub noise: f32,
    /// The kernel used.
    pub kernel: Kernel,
    /// The penalty per unit of an autoregression's event, the trace's units; 0 for none.
    pub lambda: f32,
    /// Whether there is anything to say about it.
    pub flag: Flag,
}

/// Whether a trace of a block could be deconvolved. Where it could not, its events are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flag {
    /// It was.
    Deconvolved,
    /// Fewer than 16 samples are finite: nothing is known of its events.
    TooFewSamples,
    /// All finite samples are the same: nothing happens.
    Constant,
}

/// The kernels that were learnt from traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// The population's.
    pub kernel: Kernel,
    /// Each trace that was looked at: its index, what it says alone, and its
    /// kernel shrunk towards the population's. In order of the index.
    pub traces: Vec<(usize, Estimate, Kernel)>,
}

impl Learned {
    /// A kernel for each of the traces learnt from: its own, or else the population's.
    pub fn kernels(&self, rois: usize) -> Vec<Kernel> {
        let mut kernels = vec![self.kernel; rois];
        for &(roi, _, kernel) in &self.traces {
            if let Some(slot) = kernels.get_mut(roi) {
                *slot = kernel;
            }
        }
        kernels
    }
}

/// Events of many traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Deconvolved {
    /// Events (roi, frame), see [`Events::events`].
    pub events: Array2<f32>,
    /// One per ROI.
    pub reports: Vec<Report>,
}

/// A thread's memory.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    meter: Meter,
    level: Vec<f32>,
    rows: Vec<Vec<f32>>,
    lockstep: Lockstep,
    pools: Vec<Pool>,
    interior: Interior,
}

impl Oasis {
    /// A deconvolver with these parameters.
    ///
    /// # Errors
    /// As [`Parameters::validate`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Bytes that [`Oasis::deconvolve_block`] takes beside its arguments, at
    /// most, for traces of `frames` samples on `threads` threads: it does not
    /// depend on the number of traces, but for their reports.
    pub fn workspace(frames: usize, threads: usize) -> usize {
        let own = LANES * frames * size_of::<f32>()
            + Lockstep::workspace(frames)
            + Interior::workspace(frames)
            + 4 * frames * size_of::<Pool>()
            + (1 << 17);
        own * threads.max(1)
    }

    /// Deconvolves one trace (T,), with the kernel given or learnt from it alone.
    ///
    /// # Errors
    /// [`Error::TooShort`] below 16 finite samples, [`Error::Parameter`] for a
    /// decay that was given and is longer than the trace.
    pub fn deconvolve(&self, trace: &[f32]) -> Result<Events, Error> {
        let finite = trace.iter().filter(|v| v.is_finite()).count();
        if finite < FEWEST {
            return Err(Error::TooShort {
                finite,
                samples: trace.len(),
                needed: FEWEST,
            });
        }
        let mut scratch = Scratch::default();
        let kernel = match self.parameters.given()? {
            Some(kernel) => kernel,
            None => self
                .estimate(trace, &mut scratch)?
                .alone(self.parameters.rate()?)?,
        };
        self.fits(kernel, trace.len())?;
        let mut events = Array2::zeros((1, trace.len()));
        let view = ndarray::aview1(trace).insert_axis(Axis(0));
        let mut reports = Vec::new();
        self.group(
            view,
            &[kernel],
            &mut events.view_mut(),
            &mut scratch,
            &mut reports,
        );
        let events = events.into_raw_vec_and_offset().0;
        Ok(Events {
            calcium: calcium(&events, kernel),
            events,
            report: reports[0],
        })
    }

    /// Learns the kernel of the indicator from the most active of these traces
    /// (roi, frame): those whose variance exceeds their noise's the most, at
    /// most [`Parameters::learning_traces`]. The order of the ROIs does not
    /// matter. With a kernel or decay given, that is the answer.
    ///
    /// # Errors
    /// As [`Parameters::validate`] and [`Oasis::deconvolve`]; traces too short
    /// or without noise are passed over.
    pub fn learn(&self, traces: ArrayView2<'_, f32>) -> Result<Learned, Error> {
        let mut learning = self.learning();
        learning.look(traces)?;
        learning.finish()
    }

    /// [`Oasis::learn`] from more traces than fit into memory.
    pub fn learning(&self) -> Learning<'_> {
        Learning::new(self)
    }

    /// Deconvolves all traces (roi, frame): those that were learnt from with
    /// their own kernel, shrunk towards the population's, the others with the
    /// population's ([`Oasis::learn`]), unless one is given.
    ///
    /// # Errors
    /// As [`Oasis::deconvolve_block`].
    pub fn deconvolve_all(&self, traces: ArrayView2<'_, f32>) -> Result<Deconvolved, Error> {
        let learned = self.learn(traces)?;
        let mut events = Array2::zeros(traces.dim());
        let kernels = learned.kernels(traces.nrows());
        let reports = self.deconvolve_block(traces, &kernels, events.view_mut())?;
        Ok(Deconvolved { events, reports })
    }

    /// Deconvolves a block of traces (roi, frame) into `events` of the same
    /// shape, with one kernel for all or one per ROI. Traces that cannot be
    /// deconvolved are flagged, and their events zero. Memory:
    /// [`Oasis::workspace`].
    ///
    /// # Errors
    /// [`Error::Shape`] for arrays that do not belong together,
    /// [`Error::Parameter`] for a decay that was given and is longer than the traces.
    pub fn deconvolve_block(
        &self,
        traces: ArrayView2<'_, f32>,
        kernels: &[Kernel],
        mut events: ArrayViewMut2<'_, f32>,
    ) -> Result<Vec<Report>, Error> {
        let (rois, frames) = traces.dim();
        if events.dim() != (rois, frames) {
            return Err(Error::Shape {
                name: "events",
                found: events.shape().to_vec(),
                expected: vec![rois, frames],
            });
        }
        if kernels.len() != 1 && kernels.len() != rois {
            return Err(Error::Shape {
                name: "kernels",
                found: vec![kernels.len()],
                expected: vec![rois],
            });
        }
        for &kernel in kernels {
            self.fits(kernel, frames)?;
        }
        if rois == 0 {
            return Ok(Vec::new());
        }
        let kernels_of = |group: usize| match kernels {
            [_] => kernels,
            _ => &kernels[group * LANES..kernels.len().min((group + 1) * LANES)],
        };
        let run = |scratch: &mut Scratch, group: usize, mut out: ArrayViewMut2<'_, f32>| {
            let first = group * LANES;
            let part = traces.slice_axis(Axis(0), Slice::from(first..first + out.nrows()));
            let mut reports = Vec::with_capacity(LANES);
            self.group(part, kernels_of(group), &mut out, scratch, &mut reports);
            reports
        };
        let chunks = events.axis_chunks_iter_mut(Axis(0), LANES);
        #[cfg(feature = "parallel")]
        let reports: Vec<Vec<Report>> = chunks
            .into_par_iter()
            .enumerate()
            .map_init(Scratch::default, |scratch, (group, out)| {
                run(scratch, group, out)
            })
            .collect();
        #[cfg(not(feature = "parallel"))]
        let reports: Vec<Vec<Report>> = {
            let mut scratch = Scratch::default();
            chunks
                .into_iter()
                .enumerate()
                .map(|(group, out)| run(&mut scratch, group, out))
                .collect()
        };
        Ok(reports.into_iter().flatten().collect())
    }

    /// A decay that is longer than the recording cannot be told from a baseline, and was hardly
    /// meant. One that was learnt may be, of a recording that is shorter than any indicator's.
    fn fits(&self, kernel: Kernel, frames: usize) -> Result<(), Error> {
        let given = self.parameters.kernel.is_some() || self.parameters.tau_s.is_some();
        if !given || kernel.decay_samples() <= frames as f64 {
            return Ok(());
        }
        let (name, value) = match self.parameters.tau_s {
            Some(tau) => ("tau_s", tau),
            None => ("decay, in samples,", kernel.decay_samples()),
        };
        Err(Error::Parameter {
            name,
            value,
            rule: "must be shorter than the recording",
        })
    }

    pub(crate) fn estimate(&self, trace: &[f32], scratch: &mut Scratch) -> Result<Estimate, Error> {
        let noise = scratch.meter.standard_deviation(trace)?;
        let level = self.level(trace, noise, &mut scratch.level);
        let rate = self.parameters.rate()?;
        let mut found = estimate::estimate_in(&mut scratch.interior, trace, level, noise, rate)?;
        if let Some(rise) = self.parameters.rise_s {
            found.rise_s = rise;
        }
        Ok(found)
    }

    fn level(&self, trace: &[f32], noise: f64, values: &mut Vec<f32>) -> f64 {
        if let Baseline::Given(level) = self.parameters.baseline {
            return level;
        }
        let step = trace.len().div_ceil(LEVEL_SAMPLES).max(1);
        values.clear();
        values.extend(trace.iter().step_by(step).filter(|v| v.is_finite()));
        if values.is_empty() {
            values.extend(trace.iter().filter(|v| v.is_finite()));
        }
        level::of_finite(values, noise)
    }

    /// Up to eight traces.
    fn group(
        &self,
        traces: ArrayView2<'_, f32>,
        kernels: &[Kernel],
        events: &mut ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
        reports: &mut Vec<Report>,
    ) {
        let count = traces.nrows();
        let mut rows = std::mem::take(&mut scratch.rows);
        rows.resize(LANES, Vec::new());
        for (lane, trace) in traces.rows().into_iter().enumerate() {
            rows[lane].clear();
            rows[lane].extend(trace.iter());
        }
        let mut whole = true;
        for (lane, trace) in rows[..count].iter().enumerate() {
            let kernel = kernels[if kernels.len() == 1 { 0 } else { lane }];
            let (report, gaps) = self.look(trace, kernel, scratch);
            whole &= !gaps && report.flag == Flag::Deconvolved;
            reports.push(report);
        }
        let mine = reports.len() - count;
        let reports = &mut reports[mine..];
        let same = reports.iter().all(|r| r.kernel == reports[0].kernel);
        let plain = self.parameters.sparsity == Sparsity::NonNegative;
        let kernel = reports[0].kernel;
        let mut out = vec![0.0_f32; traces.ncols()];
        if count == LANES && whole && same && plain && kernel.is_ar1() && worthwhile() {
            let views: [&[f32]; LANES] = std::array::from_fn(|lane| &rows[lane][..]);
            let shifts = std::array::from_fn(|lane| f64::from(reports[lane].baseline));
            scratch.lockstep.solve(&views, &shifts, kernel.decay(), 0.0);
            for lane in 0..count {
                scratch.lockstep.pools(lane, &mut scratch.pools);
                pools::write(&scratch.pools, kernel.decay(), &mut out, None);
                put(events, lane, &out);
            }
        } else {
            let mut rising = Vec::new();
            for lane in 0..count {
                if reports[lane].flag != Flag::Deconvolved {
                    events.row_mut(lane).fill(0.0);
                } else if reports[lane].kernel.is_ar1() {
                    self.one_ar1(&rows[lane], &mut reports[lane], &mut out);
                    put(events, lane, &out);
                } else {
                    rising.push(lane);
                }
            }
            if !rising.is_empty() {
                self.rising(&rows, &rising, reports, events, &mut scratch.interior);
            }
        }
        scratch.rows = rows;
    }

    /// Noise, level and flag of a trace, and whether it has gaps.
    fn look(&self, trace: &[f32], kernel: Kernel, scratch: &mut Scratch) -> (Report, bool) {
        let (mut least, mut most, mut finite) = (f32::INFINITY, f32::NEG_INFINITY, 0_usize);
        for &v in trace {
            if v.is_finite() {
                (least, most) = (least.min(v), most.max(v));
                finite += 1;
            }
        }
        let mut report = Report {
            baseline: 0.0,
            noise: 0.0,
            kernel,
            lambda: 0.0,
            flag: Flag::Deconvolved,
        };
        if finite < FEWEST {
            report.flag = Flag::TooFewSamples;
        } else if least == most {
            report.flag = Flag::Constant;
            report.baseline = least;
        } else {
            let noise = scratch.meter.standard_deviation(trace).unwrap_or(0.0);
            report.noise = noise as f32;
            let mut level = self.level(trace, noise, &mut scratch.level);
            if self.parameters.sparsity == Sparsity::NonNegative
                && self.parameters.baseline == Baseline::Quantiles
            {
                level -= SLACK * noise;
            }
            report.baseline = level as f32;
        }
        (report, finite < trace.len())
    }

    /// One trace, AR(1), any sparsity.
    fn one_ar1(&self, trace: &[f32], report: &mut Report, out: &mut [f32]) {
        let noise = f64::from(report.noise);
        let (lambda, s_min) = match self.parameters.sparsity {
            Sparsity::NonNegative | Sparsity::Noise => (0.0, 0.0),
            Sparsity::Penalty { lambda } => (lambda * noise, 0.0),
            Sparsity::Smallest { s_min } => (0.0, s_min * noise),
        };
        let finite = trace.iter().filter(|v| v.is_finite()).count() as f64;
        let constrained = self.parameters.sparsity == Sparsity::Noise;
        let joint = self.parameters.baseline == Baseline::Joint;
        let mut level = f64::from(report.baseline);
        let g = report.kernel.decay();
        let mut fitted = vec![0.0_f32; if joint { trace.len() } else { 0 }];
        let mut found = None;
        for round in 0..if joint { JOINT_ROUNDS } else { 1 } {
            // The parameters were checked, so that these cannot fail.
            let Ok(mut now) = Ar1::solve(trace, level, g, lambda, s_min) else {
                return;
            };
            if constrained && now.constrain(noise * noise * finite).is_err() {
                return;
            }
            if joint && round + 1 < JOINT_ROUNDS {
                now.write(out, Some(&mut fitted));
                level += mean_residual(trace, &fitted, level);
            }
            found = Some(now);
        }
        report.baseline = level as f32;
        if let Some(found) = found {
            report.lambda = found.lambda() as f32;
            found.write(out, None);
        }
    }

    /// Traces whose kernel rises, side by side.
    fn rising(
        &self,
        rows: &[Vec<f32>],
        lanes: &[usize],
        reports: &mut [Report],
        events: &mut ArrayViewMut2<'_, f32>,
        memory: &mut Interior,
    ) {
        let of = |lane: usize| lanes.get(lane).copied();
        let frames = rows[lanes[0]].len();
        let mut problems: [Problem; LANES] = std::array::from_fn(|lane| {
            let report = &reports[of(lane).unwrap_or(lanes[0])];
            let lambda = match self.parameters.sparsity {
                Sparsity::Penalty { lambda } => lambda * f64::from(report.noise),
                _ => 0.0,
            };
            Problem {
                kernel: report.kernel,
                lambda,
            }
        });
        let joint = self.parameters.baseline == Baseline::Joint;
        for round in 0..if joint { JOINT_ROUNDS } else { 1 } {
            memory.load(frames, |lane, t| match of(lane) {
                Some(lane) => f64::from(rows[lane][t]) - f64::from(reports[lane].baseline),
                None => 0.0,
            });
            match self.parameters.sparsity {
                Sparsity::Noise => {
                    let allowed: [f64; LANES] = std::array::from_fn(|lane| {
                        of(lane).map_or(f64::INFINITY, |lane| {
                            let finite = rows[lane].iter().filter(|v| v.is_finite()).count();
                            f64::from(reports[lane].noise).powi(2) * finite as f64
                        })
                    });
                    constrain(memory, &mut problems, &allowed);
                }
                sparsity => {
                    memory.solve(&problems, PRECISION);
                    memory.polish(&problems);
                    if let Sparsity::Smallest { s_min } = sparsity {
                        let smallest = std::array::from_fn(|lane| {
                            of(lane).map_or(0.0, |lane| {
                                let report = &reports[lane];
                                s_min * f64::from(report.noise) / report.kernel.peak()
                            })
                        });
                        memory.prune(&problems, &smallest);
                    }
                }
            }
            for (slot, &lane) in lanes.iter().enumerate() {
                let peak = reports[lane].kernel.peak();
                let mut row = events.row_mut(lane);
                for (t, value) in row.iter_mut().enumerate() {
                    *value = (memory.event(slot, t) * peak) as f32;
                }
                reports[lane].lambda = problems[slot].lambda as f32;
                if joint && round + 1 < JOINT_ROUNDS {
                    let fitted = calcium(&row.to_vec(), reports[lane].kernel);
                    let level = f64::from(reports[lane].baseline);
                    let more = mean_residual(&rows[lane], &fitted, level);
                    reports[lane].baseline = (level + more) as f32;
                }
            }
        }
    }
}

/// Mean of what is left over, of finite samples.
fn mean_residual(trace: &[f32], calcium: &[f32], level: f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (&y, &c) in trace.iter().zip(calcium) {
        if y.is_finite() {
            sum += f64::from(y) - f64::from(c) - level;
            count += 1.0;
        }
    }
    sum / f64::max(count, 1.0)
}

/// The calcium of events (T,) in units of the kernel's peak.
pub fn calcium(events: &[f32], kernel: Kernel) -> Vec<f32> {
    let (g1, g2) = kernel.coefficients();
    let scale = 1.0 / kernel.peak();
    let (mut c, mut before) = (0.0_f64, 0.0_f64);
    events
        .iter()
        .map(|&s| {
            (c, before) = (g1 * c + g2 * before + scale * f64::from(s), c);
            c as f32
        })
        .collect()
}

fn put(events: &mut ArrayViewMut2<'_, f32>, lane: usize, values: &[f32]) {
    for (slot, &value) in events.row_mut(lane).iter_mut().zip(values) {
        *slot = value;
    }
}

pub(crate) fn row(traces: ArrayView2<'_, f32>, roi: usize) -> Vec<f32> {
    traces.row(roi).iter().copied().collect()
}

/// Variance over the noise's; `None` where there is nothing to learn from.
pub(crate) fn activity(trace: &[f32], scratch: &mut Scratch) -> Option<f64> {
    let trace = &trace[..trace.len().min(LOOK)];
    let noise = scratch.meter.standard_deviation(trace).ok()?;
    let finite = || {
        trace
            .iter()
            .filter(|v| v.is_finite())
            .map(|&v| f64::from(v))
    };
    let count = finite().count() as f64;
    let mean = finite().sum::<f64>() / count;
    let variance = finite().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (noise > 0.0).then(|| variance / (noise * noise))
}

/// Results in order, on all cores if the crate was built so.
pub(crate) fn for_each<T: Send>(
    count: usize,
    work: impl Fn(usize, &mut Scratch) -> T + Sync,
) -> Vec<T> {
    #[cfg(feature = "parallel")]
    {
        (0..count)
            .into_par_iter()
            .map_init(Scratch::default, |scratch, i| work(i, scratch))
            .collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        let mut scratch = Scratch::default();
        (0..count).map(|i| work(i, &mut scratch)).collect()
    }
}
