//! Movies whose clean version is known.

use fluorspar_denoise::{Blocks, Denoiser, Error, LowRank, Parameters, Parts};
use fluorspar_movie::{ArrayMovie, Budget, MovieExt, silent};
use ndarray::{Array2, Array3, Axis, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

fn fit(movie: &ArrayMovie<f32>, bytes: usize) -> LowRank {
    Denoiser::new(Parameters::default())
        .unwrap()
        .fit(movie, Budget { bytes }, &silent)
        .unwrap()
}

/// Six smooth sources over a gradient, with and without noise of standard deviation `sigma`.
fn scene(size: (usize, usize), frames: usize, sigma: f64) -> (Array3<f32>, ArrayMovie<f32>) {
    let clean = Array3::from_shape_fn((frames, size.0, size.1), |(t, y, x)| {
        let mut value = 100.0 + y as f32;
        for k in 0..6 {
            let (cy, cx) = ((k * 11 + 7) % size.0, (k * 17 + 5) % size.1);
            let (dy, dx) = (y as f32 - cy as f32, x as f32 - cx as f32);
            let spot = (-(dy * dy + dx * dx) / 18.0).exp();
            value += 30.0 * spot * (1.0 + (t as f32 / (6.0 + k as f32) + k as f32).sin());
        }
        value
    });
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let normal = Normal::new(0.0, sigma).unwrap();
    let noisy = clean.mapv(|v| v + normal.sample(&mut rng) as f32);
    (clean, ArrayMovie::new(noisy))
}

fn rmse(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum();
    (sum / a.len() as f64).sqrt()
}

#[test]
fn noise_goes_and_signal_stays() {
    let (clean, movie) = scene((56, 70), 500, 10.0);
    let lowrank = fit(&movie, 1 << 30);
    let error = rmse(&lowrank.read_array(0..500).unwrap(), &clean);
    assert!(error < 1.8, "{error} of a noise of 10");
    let noise = lowrank.noise().mean().unwrap();
    assert!((noise / 10.0 - 1.0).abs() < 0.25, "{noise}");
}

#[test]
fn no_seams_remain() {
    let (_, movie) = scene((64, 64), 400, 5.0);
    let frame = fit(&movie, 1 << 30).read_array(100..101).unwrap();
    let frame = frame.index_axis(Axis(0), 0);
    let steps = |rows: &mut dyn Iterator<Item = usize>| {
        let all: Vec<f32> = rows
            .flat_map(|y| {
                (0..64)
                    .map(move |x| (y, x))
                    .map(|(y, x)| (frame[[y, x]] - frame[[y - 1, x]]).abs())
                    .collect::<Vec<_>>()
            })
            .collect();
        all.iter().sum::<f32>() / all.len() as f32
    };
    // Blocks of 32 start at 0, 16 and 32.
    let at_borders = steps(&mut [16, 32, 48].into_iter());
    let elsewhere = steps(&mut (1..64).filter(|y| y % 16 != 0));
    assert!(at_borders < 1.5 * elsewhere, "{at_borders} {elsewhere}");
}

#[test]
fn neither_threads_nor_memory_change_a_byte() {
    let (_, movie) = scene((40, 50), 120, 8.0);
    let run = |threads: usize, bytes: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| fit(&movie, bytes))
    };
    let one = run(1, 1 << 30);
    assert!(one.rank() > 0);
    assert_eq!(one, run(3, 1 << 30));
    assert_eq!(one, run(2, 1 << 16));
}

#[test]
fn movies_without_signal_have_rank_zero() {
    let constant = ArrayMovie::new(Array3::from_elem((50, 20, 20), 7.0_f32));
    let lowrank = fit(&constant, 1 << 30);
    assert_eq!(lowrank.rank(), 0);
    assert_eq!(lowrank.read_array(3..4).unwrap()[[0, 5, 5]], 7.0);
}

#[test]
fn gaps_count_as_the_mean() {
    let (_, movie) = scene((32, 32), 100, 5.0);
    let mut data = movie.read_array(0..100).unwrap();
    data.slice_mut(s![10..12, 4..6, 4..6]).fill(f32::NAN);
    data.slice_mut(s![.., 20, 20]).fill(f32::NAN);
    let lowrank = fit(&ArrayMovie::new(data), 1 << 30);
    assert!(
        lowrank
            .read_array(0..100)
            .unwrap()
            .iter()
            .all(|v| v.is_finite())
    );
}

#[test]
fn a_window_is_the_movie() {
    let (_, movie) = scene((40, 36), 90, 5.0);
    let lowrank = fit(&movie, 1 << 30);
    let whole = lowrank.read_array(10..60).unwrap();
    let window = lowrank.window(10..60, 0..1, 5..20, 8..30).unwrap();
    let mut trace = vec![0.0; 90];
    lowrank.add_trace(7 * 36 + 9, 1.0, &mut trace);
    for ((t, _, y, x), &value) in window.indexed_iter() {
        assert_eq!(value, whole[[t, y + 5, x + 8]]);
    }
    let mean = lowrank.mean()[[0, 7, 9]];
    assert!((trace[12] + mean - window[[2, 0, 2, 1]]).abs() < 1e-4);
    assert!(lowrank.window(0..1, 0..1, 0..41, 0..1).is_err());
}

#[test]
fn what_cannot_be_denoised_is_refused() {
    let short = ArrayMovie::new(Array3::<f32>::zeros((5, 10, 10)));
    let denoiser = Denoiser::new(Parameters::default()).unwrap();
    assert!(matches!(
        denoiser.fit(&short, Budget::default(), &silent),
        Err(Error::Input(_))
    ));
    let wrong = Parameters {
        significance: 0.0,
        ..Parameters::default()
    };
    assert!(matches!(Denoiser::new(wrong), Err(Error::Parameter { .. })));
    let image = Array3::zeros((1, 2, 2));
    let parts = |indices: Vec<u32>| {
        LowRank::from_parts(Parts {
            u_indptr: vec![0, 1, 1, 1, 1],
            u_indices: indices,
            u_weights: vec![1.0],
            v: Array2::zeros((1, 9)),
            mean: image.clone(),
            noise: image.clone(),
            blocks: Blocks::default(),
            component_block: vec![0],
            frame_rate: None,
        })
    };
    assert!(parts(vec![0]).is_ok());
    assert!(parts(vec![1]).is_err());
    assert!(parts(vec![]).is_err());
}
