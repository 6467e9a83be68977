//! Traces that are made some frames, then some ROIs at a time are those made
//! in one go, to the bit.

use fluorspar_movie::{ArrayMovie, Budget, Footprints, ImageOrder, Movie, Volumes, silent};
use fluorspar_trace::{
    Before, Block, Coefficients, Demixer, Extractor, NeuropilParameters, Overlaps, Parameters,
    Valid, measure, measure_apart, neuropil_slopes, summaries,
};
use ndarray::{Array2, Array4, ArrayView2, s};
use rand::{RngExt, SeedableRng};

const FRAMES: usize = 700;

/// Overlapping squares in two planes, one of them dark, in noise with gaps.
fn scene() -> (impl Movie, Footprints) {
    let mut footprints = Footprints::new(40, 50);
    for roi in 0..30_u32 {
        let (y, x) = (roi * 7 % 31, roi * 11 % 41);
        let pixels: Vec<u32> = (y..y + 8)
            .flat_map(|v| (x..x + 8).map(move |u| v * 50 + u))
            .collect();
        footprints.push(&pixels, &[1.0; 64], roi % 2).unwrap();
    }
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let mut movie = Array4::from_shape_fn((FRAMES, 2, 40, 50), |(t, _, y, x)| {
        let noise: f32 = rng.sample(rand_distr::StandardNormal);
        let calcium = (-((t * (y / 8 + 3) % 97) as f32) / 12.0).exp();
        let bright = if y < 10 { 0.05 } else { 40.0 };
        bright * (1.0 + calcium * (x % 5) as f32) + noise * if y < 10 { 3.0 } else { 1.0 }
    });
    movie.slice_mut(s![300..310, 0, 20, ..]).fill(f32::NAN);
    let order = ImageOrder {
        first: 0,
        frame_step: 2,
        plane_step: 1,
    };
    let images = movie.into_shape_with_order((2 * FRAMES, 40, 50)).unwrap();
    let movie = Volumes::new(ArrayMovie::new(images), FRAMES, 2, order).unwrap();
    (movie, footprints)
}

fn bits(values: ArrayView2<'_, f32>) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn in_pieces_or_in_one_go() {
    let (movie, footprints) = scene();
    let parameters = Parameters::default();
    let budget = Budget::default();
    let valid = Valid::everywhere();
    let whole = measure(
        &movie,
        &footprints,
        &valid,
        &parameters,
        10.0,
        budget,
        &silent,
    )
    .unwrap();

    // Some frames at a time, with room for one.
    let rings = NeuropilParameters::default();
    let extractor = Extractor::new(movie.shape(), &footprints, &valid, &rings).unwrap();
    let empty = || Array2::zeros((footprints.len(), FRAMES));
    let (mut f, mut neuropil, mut projections) = (empty(), empty(), empty());
    let blocks = [0..256, 256..512, 512..FRAMES];
    for frames in blocks.clone() {
        let part = s![.., frames.clone()];
        let block = Block {
            f: f.slice_mut(part),
            neuropil: neuropil.slice_mut(part),
            projections: Some(projections.slice_mut(part)),
        };
        let budget = Budget { bytes: 1 };
        extractor
            .read(&movie, frames, block, budget, &silent)
            .unwrap();
    }
    assert_eq!(bits(f.view()), bits(whole.traces.f.view()));
    assert_eq!(bits(neuropil.view()), bits(whole.traces.neuropil.view()));
    assert_eq!(extractor.inside(), whole.traces.inside);

    let rois = [0..7, 7..8, 8..30];
    let slopes: Vec<_> = rois
        .iter()
        .flat_map(|rois| {
            let part = s![rois.clone(), ..];
            let (f, neuropil) = (f.slice(part), neuropil.slice(part));
            neuropil_slopes(f, neuropil, &parameters.coefficient, 10.0).unwrap()
        })
        .collect();
    let coefficients = Coefficients::of_slopes(&slopes, &parameters.coefficient).unwrap();
    assert_eq!(coefficients.values, whole.coefficients.values);

    let overlaps = Overlaps::new(&footprints);
    assert!(overlaps.groups().iter().any(|group| group.len() > 3));
    let mut demixer = Demixer::new(&overlaps, &coefficients.values).unwrap();
    for frames in blocks.clone() {
        let part = s![.., frames];
        demixer
            .look(projections.slice(part), neuropil.slice(part))
            .unwrap();
    }
    let summed = summaries(f.view(), neuropil.view()).unwrap();
    for frames in blocks {
        let part = s![.., frames];
        demixer
            .take_apart(projections.slice_mut(part), neuropil.slice(part))
            .unwrap();
    }
    let apart = demixer.finish();
    assert!(apart.free.iter().any(|&free| free) && !apart.free.iter().all(|&free| free));
    assert_eq!(bits(projections.view()), bits(whole.corrected.view()));
    assert_eq!(apart.inflation, whole.inflation);

    for rois in rois {
        let before = Before {
            summaries: &summed[rois.clone()],
            inside: &extractor.inside()[rois.clone()],
            coefficients: &coefficients.slice(rois.clone()),
            apart: &apart.slice(rois.clone()),
        };
        let corrected = projections.slice(s![rois.clone(), ..]);
        let found = measure_apart(corrected, &before, &parameters, 10.0).unwrap();
        let expected = whole.delta.dff.slice(s![rois.clone(), ..]);
        assert_eq!(bits(found.delta.dff.view()), bits(expected));
        assert_eq!(found.flags, whole.flags[rois.clone()]);
        // NaN where nothing can be said.
        let text = |found: &[fluorspar_trace::Contamination]| format!("{found:?}");
        assert_eq!(text(&found.contamination), text(&whole.contamination[rois]));
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (movie, footprints) = scene();
    let (valid, rings) = (Valid::everywhere(), NeuropilParameters::default());
    let extractor = Extractor::new(movie.shape(), &footprints, &valid, &rings).unwrap();
    let (mut f, mut neuropil) = (Array2::zeros((30, 9)), Array2::zeros((30, 10)));
    let block = Block {
        f: f.view_mut(),
        neuropil: neuropil.view_mut(),
        projections: None,
    };
    let read = extractor.read(&movie, 0..10, block, Budget::default(), &silent);
    assert!(read.is_err());
    let overlaps = Overlaps::new(&footprints);
    assert!(Demixer::new(&overlaps, &[0.5; 29]).is_err());
    let shares = [0.5; 30];
    let mut demixer = Demixer::new(&overlaps, &shares).unwrap();
    assert!(demixer.look(f.view(), neuropil.view()).is_err());
    let few = Array2::zeros((29, 10));
    assert!(demixer.look(few.view(), few.view()).is_err());
}
