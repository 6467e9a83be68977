//! What is planted is what is rendered, and what the truth says.

use fluorspar_movie::{Movie, MovieExt, PixelType};
use fluorspar_simulate::{
    ActivityPlan, CellState, Choice, CodePlan, Epoch, Error, Experiment, FieldPlan, MotionPlan,
    Odour, OpticsPlan, Outcome, Plan, TaskPlan,
};
use ndarray::{Array2, ArrayView1, Axis, s};
use proptest::prelude::*;

fn small() -> Plan {
    Plan {
        sessions: 3,
        trials: 8,
        cells: 40,
        height: 64,
        width: 96,
        seed: 5,
        ..Plan::default()
    }
}

/// No light lost, no noise: images show the scene alone.
fn clear() -> OpticsPlan {
    OpticsPlan {
        vignetting: 0.0,
        bleaching: 0.0,
        brightness_range: 0.0,
        neuropil_modulation: 0.0,
        ..OpticsPlan::default()
    }
}

fn registered(experiment: &Experiment, session: usize, frame: usize) -> Array2<f32> {
    let movie = experiment.session(session);
    let mut image = Array2::zeros((movie.shape().height, movie.shape().width));
    movie
        .read_registered(frame, image.as_slice_mut().unwrap())
        .unwrap();
    image
}

fn expected(experiment: &Experiment, session: usize, frame: usize) -> Array2<f32> {
    let movie = experiment.session(session);
    let mut image = Array2::zeros((movie.shape().height, movie.shape().width));
    movie
        .read_expected(frame, image.as_slice_mut().unwrap())
        .unwrap();
    image
}

fn bilinear(image: &Array2<f32>, y: f32, x: f32) -> f32 {
    let (iy, ix) = (y.floor() as usize, x.floor() as usize);
    let (fy, fx) = (y - y.floor(), x - x.floor());
    (1.0 - fy) * ((1.0 - fx) * image[[iy, ix]] + fx * image[[iy, ix + 1]])
        + fy * ((1.0 - fx) * image[[iy + 1, ix]] + fx * image[[iy + 1, ix + 1]])
}

/// Root mean square of `moved[y + dy, x + dx] − fixed[y, x]` away from the edge.
fn misfit(fixed: &Array2<f32>, moved: &Array2<f32>, (dy, dx): (f32, f32)) -> f64 {
    let rim = 14;
    let (height, width) = fixed.dim();
    let (mut sum, mut count) = (0.0, 0.0);
    for y in rim..height - rim {
        for x in rim..width - rim {
            let value = bilinear(moved, y as f32 + dy, x as f32 + dx);
            sum += f64::from(value - fixed[[y, x]]).powi(2);
            count += 1.0;
        }
    }
    (sum / count).sqrt()
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let cov: f64 = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum();
    let va: f64 = a.iter().map(|x| (x - ma).powi(2)).sum();
    let vb: f64 = b.iter().map(|y| (y - mb).powi(2)).sum();
    cov / (va * vb).sqrt()
}

#[test]
fn any_range_in_any_order_gives_the_same_bytes() {
    let plan = small();
    let experiment = Experiment::build(&plan).unwrap();
    let again = Experiment::build(&plan).unwrap();
    let movie = experiment.session(1);
    let length = movie.shape().frame_len() * 2;
    let mut whole = vec![0_u8; 20 * length];
    movie.read_native(30..50, &mut whole).unwrap();
    for frame in (30..50).rev() {
        let mut one = vec![0_u8; length];
        again
            .session(1)
            .read_native(frame..frame + 1, &mut one)
            .unwrap();
        assert!(
            one == whole[(frame - 30) * length..][..length],
            "frame {frame}"
        );
    }
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut same = vec![0_u8; 20 * length];
        pool.install(|| movie.read_native(30..50, &mut same))
            .unwrap();
        assert!(same == whole, "{threads} threads");
    }
    let converted = movie.read_array(30..50).unwrap();
    for (bytes, &value) in whole.chunks_exact(2).zip(&converted) {
        assert_eq!(f32::from(i16::from_ne_bytes([bytes[0], bytes[1]])), value);
    }
    assert_eq!(movie.pixel_type(), PixelType::I16);
    assert_eq!(movie.frame_rate(), Some(10.0));
    assert!(movie.read_native(0..1, &mut [0; 3]).is_err());
    assert!(movie.read_array(0..movie.shape().frames + 1).is_err());
}

#[test]
fn seeds_and_sessions_differ() {
    let one = Experiment::build(&small()).unwrap();
    let other = Experiment::build(&Plan { seed: 6, ..small() }).unwrap();
    let frame = |e: &Experiment, s: usize| e.session(s).read_array(0..1).unwrap();
    assert_ne!(frame(&one, 0), frame(&other, 0));
    assert_ne!(frame(&one, 0), frame(&one, 1));
}

#[test]
fn raw_at_the_shifted_place_is_the_registered_frame() {
    let plan = Plan {
        sessions: 1,
        optics: clear(),
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    let motion = &experiment.truth().sessions[0].motion;
    let far: Vec<usize> = (0..plan.frames())
        .filter(|&t| motion[t].0.hypot(motion[t].1) > 2.0)
        .collect();
    assert!(far.len() > 5, "the plan moves the field");
    for &frame in far.iter().step_by(far.len() / 5) {
        let (dy, dx) = motion[frame];
        let (fixed, raw) = (
            registered(&experiment, 0, frame),
            expected(&experiment, 0, frame),
        );
        let right = misfit(&fixed, &raw, (dy, dx));
        let still = misfit(&fixed, &raw, (0.0, 0.0));
        let wrong = misfit(&fixed, &raw, (-dy, -dx));
        assert!(right < 0.25 * still, "{right} {still}");
        assert!(right < 0.25 * wrong, "{right} {wrong}");
    }
}

#[test]
fn motion_is_smooth_sub_pixel_and_limited() {
    let plan = Plan {
        sessions: 1,
        trials: 40,
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    let motion = &experiment.truth().sessions[0].motion;
    let mut sorted: Vec<f32> = motion.iter().map(|m| m.0).collect();
    sorted.sort_by(f32::total_cmp);
    assert!(sorted[sorted.len() / 2].abs() < 1e-6);
    assert!(motion.iter().all(|m| m.0.abs() <= 6.0 && m.1.abs() <= 6.0));
    let mut steps: Vec<f32> = motion.windows(2).map(|w| (w[1].0 - w[0].0).abs()).collect();
    steps.sort_by(f32::total_cmp);
    assert!(steps[steps.len() / 2] < 0.3, "mostly small steps");
    assert!(steps[steps.len() - 1] > 1.0, "some jumps");
}

#[test]
fn the_field_shift_moves_tissue_and_footprints_alike() {
    let plan = Plan {
        optics: clear(),
        field: FieldPlan {
            jitter_px: 0.0,
            absent_fraction: 0.0,
            undetected_fraction: 0.0,
            ..FieldPlan::default()
        },
        activity: ActivityPlan {
            spike_dff: 0.0,
            ..ActivityPlan::default()
        },
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    let truth = experiment.truth();
    let tracks = truth.roi_index();
    let first = registered(&experiment, 0, 0);
    for session in 1..plan.sessions {
        let here = &truth.sessions[session];
        let (dy, dx) = here.field_shift;
        assert!(dy.hypot(dx) > 1.0, "this seed shifts the field");
        let image = registered(&experiment, session, 0);
        assert!(misfit(&first, &image, (dy, dx)) < 0.3 * misfit(&first, &image, (0.0, 0.0)));
        let mut compared = 0;
        for cell in 0..plan.cells {
            let (a, b) = (tracks[[cell, 0]], tracks[[cell, session]]);
            let (y, x) = truth.centres[cell];
            let interior = (14.0..50.0).contains(&y) && (14.0..82.0).contains(&x);
            if a < 0 || b < 0 || !interior {
                continue;
            }
            let before = truth.sessions[0].footprints.centroid(a as usize);
            let after = here.footprints.centroid(b as usize);
            assert!((after.0 - before.0 - f64::from(dy)).abs() < 0.2);
            assert!((after.1 - before.1 - f64::from(dx)).abs() < 0.2);
            assert!((before.0 - y).abs() < 0.3 && (before.1 - x).abs() < 0.3);
            compared += 1;
        }
        assert!(compared >= 5);
    }
}

#[test]
fn a_cell_lights_up_within_its_footprint() {
    let plan = Plan {
        sessions: 2,
        optics: clear(),
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    let session = &experiment.truth().sessions[1];
    let mut checked = 0;
    for (roi, &cell) in session.cell.iter().enumerate() {
        if !session.active[roi] {
            continue;
        }
        let dff: ArrayView1<'_, f32> = session.dff.row(cell as usize);
        let bright = (0..dff.len())
            .max_by(|&a, &b| dff[a].total_cmp(&dff[b]))
            .unwrap();
        let dark = (0..dff.len())
            .min_by(|&a, &b| dff[a].total_cmp(&dff[b]))
            .unwrap();
        let gain = registered(&experiment, 1, bright) - registered(&experiment, 1, dark);
        let gain = gain.as_slice().unwrap();
        let footprint = session.footprints.get(roi);
        let inside: Vec<f64> = footprint
            .indices
            .iter()
            .map(|&i| f64::from(gain[i as usize]))
            .collect();
        let weights: Vec<f64> = footprint.weights.iter().map(|&w| f64::from(w)).collect();
        assert!(inside.iter().sum::<f64>() / inside.len() as f64 > 10.0);
        assert!(pearson(&inside, &weights) > 0.9, "roi {roi}");
        checked += 1;
    }
    assert!(checked > 5);
}

#[test]
fn variance_rises_with_the_mean_along_the_photon_line() {
    let plan = Plan {
        sessions: 1,
        trials: 40,
        optics: OpticsPlan {
            vignetting: 0.6,
            ..clear()
        },
        activity: ActivityPlan {
            spike_dff: 0.0,
            ..ActivityPlan::default()
        },
        motion: MotionPlan {
            limit_px: 0.0,
            ..MotionPlan::default()
        },
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    let frames = 1_500;
    let movie = experiment.session(0).read_array(0..frames).unwrap();
    let truth = registered(&experiment, 0, 0);
    let mut points = Vec::new();
    let (mut third, mut predicted) = (0.0, 0.0);
    for ((y, x), &mean) in truth.indexed_iter() {
        let pixel = movie.slice(s![.., y, x]).mapv(|v| f64::from(v - mean));
        let bias = pixel.sum() / frames as f64;
        let variance = pixel.mapv(|v| v * v).sum() / frames as f64;
        assert!(bias.abs() < 5.5 * (variance / frames as f64).sqrt());
        third += pixel.mapv(|v| v.powi(3)).sum() / frames as f64;
        let signal = f64::from(mean) - plan.optics.offset_counts;
        predicted += plan.optics.counts_per_photon.powi(2) * signal;
        points.push((signal, variance));
    }
    let n = points.len() as f64;
    let mx = points.iter().map(|p| p.0).sum::<f64>() / n;
    let my = points.iter().map(|p| p.1).sum::<f64>() / n;
    let sxy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let slope = sxy / sxx;
    // Read noise and the rounding to whole counts remain without light.
    let dark = my - slope * mx;
    let read = plan.optics.read_noise_counts.powi(2) + 1.0 / 12.0;
    assert!(
        (slope / plan.optics.counts_per_photon - 1.0).abs() < 0.01,
        "{slope}"
    );
    assert!((dark - read).abs() < 0.25 * read, "{dark} {read}");
    assert!(
        (third / predicted - 1.0).abs() < 0.05,
        "{}",
        third / predicted
    );
}

#[test]
fn bleaching_and_vignetting_take_light_where_they_should() {
    let plan = Plan {
        sessions: 1,
        optics: OpticsPlan {
            bleaching: 0.5,
            offset_counts: 0.0,
            ..clear()
        },
        activity: ActivityPlan {
            spike_dff: 0.0,
            ..ActivityPlan::default()
        },
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    let (first, last) = (
        registered(&experiment, 0, 0).sum(),
        registered(&experiment, 0, plan.frames() - 1).sum(),
    );
    assert!((last / first - 0.5).abs() < 1e-4);
    let shaded = Plan {
        optics: OpticsPlan {
            vignetting: 0.4,
            ..plan.optics.clone()
        },
        ..plan
    };
    let shaded = Experiment::build(&shaded).unwrap();
    let ratio = registered(&shaded, 0, 0) / registered(&experiment, 0, 0);
    assert!((ratio[[0, 0]] - 0.6).abs() < 1e-4);
    assert!((ratio[[32, 48]] - 1.0).abs() < 1e-3);
}

#[test]
fn the_late_delay_code_drifts_and_then_stays() {
    let plan = Plan {
        cells: 3_000,
        sessions: 6,
        days: vec![1.0, 2.0, 3.0, 9.0, 10.0, 11.0],
        trials: 4,
        height: 700,
        width: 700,
        code: CodePlan {
            drifting_steps: 3,
            step_correlation: 0.6,
            ..CodePlan::default()
        },
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    let truth = experiment.truth();
    assert_eq!(truth.days, plan.days);
    let late = truth.realised_correlation(Epoch::LateDelay);
    let planted = truth.expected_correlation(Epoch::LateDelay);
    for i in 0..6_usize {
        for j in 0..6 {
            let steps = i.min(3).abs_diff(j.min(3));
            assert!((planted[[i, j]] - 0.6_f64.powi(steps as i32)).abs() < 1e-12);
            if steps == 0 {
                assert!((late[[i, j]] - 1.0).abs() < 1e-9);
            } else {
                // Sampling error of a correlation over 3,000 cells: 0.018.
                assert!((late[[i, j]] - planted[[i, j]]).abs() < 0.07, "{i} {j}");
            }
        }
    }
    for epoch in Epoch::ALL {
        let tuning = truth.tuning(epoch);
        let tuned = (plan.fraction(epoch) * 3_000.0).round() as usize;
        for day in tuning.axis_iter(Axis(1)) {
            assert_eq!(day.iter().filter(|&&v| v != 0.0).count(), tuned);
            assert_eq!(day.iter().filter(|&&v| v < 0.0).count(), tuned / 2);
        }
        if epoch != Epoch::LateDelay && epoch != Epoch::Baseline {
            let all = truth.realised_correlation(epoch);
            assert!(all.iter().all(|v| (v - 1.0).abs() < 1e-9));
        }
    }
}

#[test]
fn trials_are_balanced_and_consistent() {
    let plan = Plan {
        trials: 40,
        ..small()
    };
    let experiment = Experiment::build(&plan).unwrap();
    for session in 0..plan.sessions {
        let trials = experiment.trials(session);
        assert_eq!(trials.len(), 40);
        for odour1 in [Odour::A, Odour::B] {
            for odour2 in [Odour::C, Odour::D] {
                let kind =
                    |t: &&fluorspar_simulate::TrialRecord| t.odour1 == odour1 && t.odour2 == odour2;
                assert_eq!(trials.iter().filter(kind).count(), 10);
            }
        }
        let wrong = trials.iter().filter(|t| !t.outcome.is_correct()).count();
        assert_eq!(wrong, 4);
        assert_eq!(trials.iter().filter(|t| t.lick).count(), 20);
        for trial in trials {
            let asks = matches!(
                (trial.odour1, trial.odour2),
                (Odour::A, Odour::C) | (Odour::B, Odour::D)
            );
            assert_eq!(trial.matched, asks);
            assert_eq!(trial.lick, trial.choice == Choice::Lick);
            assert_eq!(trial.outcome.is_correct(), trial.lick == asks);
            assert_eq!(
                trial.lick,
                matches!(trial.outcome, Outcome::Hit | Outcome::FalseAlarm)
            );
        }
        for pair in trials.windows(2) {
            assert!(pair[1].onset_s - pair[0].onset_s >= 10.49);
        }
        let end = plan.frames() as f64 / plan.frame_rate;
        assert!(trials[39].onset_s + Epoch::Choice.window_s().1 <= end);
        let table = experiment.trials_csv(session);
        let mut lines = table.lines();
        assert_eq!(
            lines.next(),
            Some("onset_s,odour1,odour2,choice,lick,outcome")
        );
        for (line, trial) in lines.zip(trials) {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), 6);
            assert_eq!(fields[0].parse::<f64>().unwrap(), trial.onset_s);
            assert_eq!(
                fields[3],
                if fields[4] == "1" { "lick" } else { "withhold" }
            );
        }
    }
    assert_ne!(experiment.trials(0), experiment.trials(1));
}

#[test]
fn calcium_is_spikes_through_an_exponential() {
    let experiment = Experiment::build(&small()).unwrap();
    let session = &experiment.truth().sessions[0];
    let decay = (-1.0_f64 / 8.0).exp();
    for (spikes, dff) in session.spikes.rows().into_iter().zip(session.dff.rows()) {
        for t in 1..spikes.len() {
            let event = f64::from(dff[t]) - decay * f64::from(dff[t - 1]);
            assert!((event - 0.3 * f64::from(spikes[t])).abs() < 1e-5);
        }
    }
}

#[test]
fn missing_cells_are_missing_as_planned() {
    let plan = Plan::default();
    let experiment = Experiment::build(&plan).unwrap();
    let truth = experiment.truth();
    let tracks = truth.roi_index();
    for (index, session) in truth.sessions.iter().enumerate() {
        let count = |state| session.states.iter().filter(|&&s| s == state).count();
        assert!((2..=6).contains(&count(CellState::Silent)));
        assert!((2..=6).contains(&count(CellState::Undetected)));
        assert!(count(CellState::Absent) >= 6);
        assert_eq!(session.footprints.len() + count(CellState::Absent), 120);
        for cell in 0..120 {
            let roi = tracks[[cell, index]];
            assert_eq!(roi < 0, session.states[cell] == CellState::Absent);
            let spikes = session.spikes.row(cell).sum();
            if session.states[cell] == CellState::Silent {
                assert_eq!(spikes, 0.0);
            }
            if roi >= 0 && session.active[roi as usize] {
                assert_eq!(session.states[cell], CellState::Active);
                assert!(spikes >= 15.0);
            }
        }
        let active = session.active.iter().filter(|&&a| a).count();
        assert!((60..=110).contains(&active), "{active} active cells");
    }
}

/// Leave-one-out nearest class mean on spike counts of one epoch: balanced accuracy.
fn decode(experiment: &Experiment, session: usize, epoch: Epoch) -> f64 {
    let truth = &experiment.truth().sessions[session];
    let rate = experiment.plan().frame_rate;
    let cells: Vec<usize> = (0..truth.cell.len())
        .filter(|&roi| truth.active[roi])
        .map(|roi| truth.cell[roi] as usize)
        .collect();
    let trials = experiment.trials(session);
    let (start, stop) = epoch.window_s();
    let features: Vec<Vec<f64>> = trials
        .iter()
        .map(|trial| {
            let frames =
                ((trial.onset_s + start) * rate) as usize..((trial.onset_s + stop) * rate) as usize;
            cells
                .iter()
                .map(|&cell| f64::from(truth.spikes.slice(s![cell, frames.clone()]).sum()))
                .collect()
        })
        .collect();
    let labels: Vec<bool> = trials
        .iter()
        .map(|trial| trial.value(epoch) > 0.0)
        .collect();
    let mut right = [0.0, 0.0];
    for out in 0..trials.len() {
        let distance = |class: bool| -> f64 {
            let rows: Vec<&Vec<f64>> = (0..trials.len())
                .filter(|&t| t != out && labels[t] == class)
                .map(|t| &features[t])
                .collect();
            (0..cells.len())
                .map(|c| {
                    let mean = rows.iter().map(|row| row[c]).sum::<f64>() / rows.len() as f64;
                    (features[out][c] - mean).powi(2)
                })
                .sum()
        };
        let guess = distance(true) < distance(false);
        right[usize::from(labels[out])] += f64::from(u8::from(guess == labels[out]));
    }
    let positive = labels.iter().filter(|&&l| l).count() as f64;
    f64::midpoint(
        right[1] / positive,
        right[0] / (labels.len() as f64 - positive),
    )
}

#[test]
fn codes_can_be_read_from_single_trials_but_not_perfectly() {
    let experiment = Experiment::build(&Plan::default()).unwrap();
    let mean = |epoch| -> f64 {
        (0..8)
            .map(|session| decode(&experiment, session, epoch))
            .sum::<f64>()
            / 8.0
    };
    let found: Vec<f64> = [Epoch::Odour1, Epoch::LateDelay, Epoch::Choice]
        .into_iter()
        .map(mean)
        .collect();
    assert!(found.iter().all(|v| (0.85..1.0).contains(v)), "{found:?}");
}

#[test]
fn absurd_plans_are_named_errors() {
    let field = |plan: Plan| match Experiment::build(&plan) {
        Err(Error::Plan { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        field(Plan {
            sessions: 0,
            ..small()
        }),
        "sessions"
    );
    assert_eq!(
        field(Plan {
            trials: 0,
            ..small()
        }),
        "trials"
    );
    assert_eq!(
        field(Plan {
            height: 0,
            ..small()
        }),
        "height"
    );
    assert_eq!(
        field(Plan {
            width: 1 << 40,
            ..small()
        }),
        "width"
    );
    assert_eq!(
        field(Plan {
            frame_rate: f64::NAN,
            ..small()
        }),
        "frame_rate"
    );
    assert_eq!(
        field(Plan {
            days: vec![1.0],
            ..small()
        }),
        "days"
    );
    assert_eq!(
        field(Plan {
            days: vec![1.0, 1.0, 2.0],
            ..small()
        }),
        "days"
    );
    let task = TaskPlan {
        period_s: 5.0,
        ..TaskPlan::default()
    };
    assert_eq!(field(Plan { task, ..small() }), "task.period_s");
    let crowded = Plan {
        cells: 4_000,
        ..small()
    };
    assert!(matches!(
        Experiment::build(&crowded),
        Err(Error::Crowded { asked: 4_000, .. })
    ));
    let large = Plan {
        trials: 100_000,
        cells: 1_000_000,
        ..small()
    };
    assert!(matches!(
        Experiment::build(&large),
        Err(Error::TooLarge { .. })
    ));
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-1.0),
        Just(0.0),
        Just(1.0),
        Just(1e300),
        0.0..1.0,
        0.0..20.0,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the plan says, there is an experiment with readable frames or an error.
    #[test]
    fn every_plan_is_an_experiment_or_an_error(
        values in prop::array::uniform16(any_number()),
        changed in 0_usize..16,
        second in 0_usize..16,
        sessions in 0_usize..4,
        trials in 0_usize..6,
        cells in 0_usize..30,
    ) {
        let mut plan = Plan { sessions, trials, cells, height: 48, width: 40, ..small() };
        for index in [changed, second] {
            let value = values[index];
            *match index {
                0 => &mut plan.frame_rate,
                1 => &mut plan.task.lead_in_s,
                2 => &mut plan.task.error_fraction,
                3 => &mut plan.code.late_delay_fraction,
                4 => &mut plan.code.step_correlation,
                5 => &mut plan.activity.baseline_hz,
                6 => &mut plan.activity.tau_s,
                7 => &mut plan.field.diameter_px,
                8 => &mut plan.field.shift_px,
                9 => &mut plan.field.absent_fraction,
                10 => &mut plan.motion.limit_px,
                11 => &mut plan.motion.walk_tau_s,
                12 => &mut plan.optics.soma_photons,
                13 => &mut plan.optics.counts_per_photon,
                14 => &mut plan.optics.read_noise_counts,
                _ => &mut plan.optics.neuropil_length_px,
            } = value;
        }
        let built = Experiment::build(&plan);
        prop_assert_eq!(
            plan.validate().is_ok(),
            built.is_ok() || matches!(built, Err(Error::Crowded { .. }))
        );
        if let Ok(experiment) = built {
            let last = plan.frames() - 1;
            let frame = experiment.session(sessions - 1).read_array(last..last + 1).unwrap();
            prop_assert!(frame.iter().all(|v| v.is_finite()));
            prop_assert_eq!(experiment.trials(0).len(), trials);
        }
    }
}
