//! The online form against the whole trace.

use fluorspar_deconvolve::{Ar1, Kernel, Online, exact};
use proptest::prelude::*;

fn trace(samples: usize, kernel: Kernel, mut state: u64) -> Vec<f32> {
    let mut random = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let (g1, g2) = kernel.coefficients();
    let (mut c, mut before) = (0.0, 0.0);
    (0..samples)
        .map(|t| {
            let s = f64::from(u8::from(random() < 0.03)) / kernel.peak();
            (c, before) = (g1 * c + g2 * before + s, c);
            let noise = random() + random() + random() - 1.5;
            if t % 97 == 50 {
                f32::NAN
            } else {
                (0.3 + c + 0.3 * noise) as f32
            }
        })
        .collect()
}

/// Events of the online form, fed in pieces.
fn online(y: &[f32], mut online: Online, piece: usize) -> Vec<f32> {
    let mut events = Vec::new();
    for part in y.chunks(piece) {
        online.push(part, &mut events);
        let (taken, given) = online.progress();
        assert_eq!(given as usize, events.len());
        assert!(taken >= given);
    }
    online.finish(&mut events);
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn ar1_with_enough_lag_is_the_whole_trace(
        seed: u64, g in 0.5_f64..0.95, lambda in 0.0_f64..1.0, s_min in prop_oneof![Just(0.0), 0.0_f64..0.5], piece in 1_usize..300,
    ) {
        let y = trace(900, Kernel::new(g, 0.0).unwrap(), seed);
        let mut whole = vec![0.0_f32; y.len()];
        Ar1::solve(&y, 0.3, g, lambda, s_min).unwrap().write(&mut whole, None);
        let kernel = Kernel::new(g, 0.0).unwrap();
        for lag in [450, 2000] {
            let found = online(&y, Online::new(kernel, 0.3, lambda, s_min, lag).unwrap(), piece);
            prop_assert_eq!(found.len(), whole.len());
            for (t, (a, b)) in found.iter().zip(&whole).enumerate() {
                prop_assert!((a - b).abs() < 1e-5, "{lag}, {t}: {a} {b}");
            }
        }
        // Too little lag is still a solution: nothing negative, nothing lost.
        let short = online(&y, Online::new(kernel, 0.3, lambda, s_min, 3).unwrap(), piece);
        prop_assert_eq!(short.len(), y.len());
        prop_assert!(short.iter().all(|s| *s >= 0.0 && s.is_finite()));
    }
}

#[test]
fn a_rise_with_enough_lag_is_the_whole_trace() {
    let kernel = Kernel::new(0.9, 0.5).unwrap();
    let y = trace(900, kernel, 5);
    let level: Vec<f64> = y
        .iter()
        .map(|&v| f64::from(v) - f64::from(0.3_f32))
        .collect();
    let whole = exact(&level, kernel, 0.2).unwrap();
    for (lag, piece) in [(150, 17), (1000, 900)] {
        let found = online(
            &y,
            Online::new(kernel, f64::from(0.3_f32), 0.2, 0.0, lag).unwrap(),
            piece,
        );
        assert_eq!(found.len(), y.len());
        for (t, (a, b)) in found.iter().zip(&whole.events).enumerate() {
            let b = b * kernel.peak();
            assert!((f64::from(*a) - b).abs() < 1e-4, "{lag}, {t}: {a} {b}");
        }
    }
}

#[test]
fn a_trace_follows_another() {
    for rise in [0.0, 0.5] {
        let kernel = Kernel::new(0.9, rise).unwrap();
        let y = trace(300, kernel, 1);
        let mut online = Online::new(kernel, 0.3, 0.1, 0.0, 50).unwrap();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for events in [&mut first, &mut second] {
            online.push(&y, events);
            online.finish(events);
        }
        assert_eq!(first.len(), 300);
        assert_eq!(first, second);
    }
    let kernel = Kernel::new(0.9, 0.0).unwrap();
    assert!(Online::new(kernel, 0.0, 0.0, 0.0, 0).is_err());
    assert!(Online::new(kernel, 0.0, -1.0, 0.0, 5).is_err());
    assert!(Online::new(kernel, f64::NAN, 0.0, 0.0, 5).is_err());
}
