//! Movies as they should not be.

mod common;

use common::{courses, fit, movie, noise, spot};
use fluorspar_denoise::{BlockSearch, Denoiser, Error, LowRank, Parameters};
use fluorspar_movie::{ArrayMovie, Budget, MovieExt, silent};
use ndarray::{Array2, Array3, s};

/// A cell in the middle of noise, and its clean course.
fn cell(frames: usize, height: usize, width: usize) -> (Array3<f32>, Vec<f32>) {
    let course = courses(1, frames, 20.0, 1).remove(0);
    let mut data = noise(frames, height, width, 2);
    let (cy, cx) = (height as f32 / 2.0, width as f32 / 2.0);
    for ((t, y, x), v) in data.indexed_iter_mut() {
        *v += 3.0 * course[t] * spot(cy, cx, 5.0, (y, x));
    }
    (data, course)
}

/// The factors are finite (which `from_parts` insists on), and the cell is there.
fn check(lowrank: &LowRank, course: &[f32]) {
    LowRank::from_parts(lowrank.parts().clone()).unwrap();
    let mut footprint = Vec::new();
    for y in 0..lowrank.height() {
        for x in 0..lowrank.width() {
            let pixel = y * lowrank.width() + x;
            let (cy, cx) = (lowrank.height() as f32 / 2.0, lowrank.width() as f32 / 2.0);
            if lowrank.noise().as_slice().unwrap()[pixel] > 0.0 {
                footprint.push((pixel, spot(cy, cx, 5.0, (y, x))));
            }
        }
    }
    let slope = common::slope(lowrank, &footprint, course);
    assert!((slope / 3.0 - 1.0).abs() < 0.03, "{slope}");
}

#[test]
fn dead_pixels_and_lines_stay_dead_and_do_no_harm() {
    let (mut data, course) = cell(500, 48, 48);
    data.slice_mut(s![.., 22, ..]).fill(17.0);
    data.slice_mut(s![.., .., 40]).fill(0.0);
    data.slice_mut(s![.., 27, 21]).fill(-5.0);
    let lowrank = fit(&movie(data));
    check(&lowrank, &course);
    assert_eq!(lowrank.noise()[[0, 22, 5]], 0.0);
    let back = lowrank.read_array(0..500).unwrap();
    assert!(back.slice(s![.., 22, ..40]).iter().all(|&v| v == 17.0));
    assert!(back.slice(s![.., 27, 21]).iter().all(|&v| v == -5.0));
}

#[test]
fn gaps_count_as_the_mean() {
    let (mut data, course) = cell(500, 48, 48);
    data.slice_mut(s![100..103, .., ..]).fill(f32::NAN);
    data.slice_mut(s![.., 3, 3]).fill(f32::NAN);
    data.slice_mut(s![..;7, 24, 20]).fill(f32::INFINITY);
    data.slice_mut(s![0..400, 4, 4]).fill(f32::NAN);
    let lowrank = fit(&movie(data));
    check(&lowrank, &course);
    for pixel in [[0, 3, 3], [0, 4, 4]] {
        assert_eq!(lowrank.noise()[pixel], 0.0);
    }
    assert!(lowrank.noise()[[0, 24, 20]] > 0.5);
}

#[test]
fn saturated_pixels_do_no_harm() {
    let (mut data, course) = cell(500, 48, 48);
    data.slice_mut(s![.., 10..14, 10..14]).fill(65_535.0);
    // One more saturates now and then.
    data.slice_mut(s![..;9, 30, 30]).fill(65_535.0);
    check(&fit(&movie(data)), &course);
}

#[test]
fn constant_blocks_and_movies_have_no_components() {
    let (mut data, course) = cell(400, 96, 40);
    data.slice_mut(s![.., ..32, ..]).fill(9.0);
    let lowrank = fit(&movie(data));
    check(&lowrank, &course);
    assert!(lowrank.row(5 * 40 + 5).0.is_empty());
    let constant = ArrayMovie::new(Array3::from_elem((50, 20, 20), 7_u16));
    let lowrank = fit(&constant);
    assert_eq!(lowrank.rank(), 0);
    assert_eq!(lowrank.read_array(3..4).unwrap()[[0, 5, 5]], 7.0);
}

#[test]
fn any_size_and_length() {
    for (frames, height, width) in [
        (16, 40, 40),
        (17, 1, 200),
        (100, 200, 1),
        (90, 33, 31),
        (64, 3, 5),
        (333, 57, 101),
        (20, 1, 1),
    ] {
        let lowrank = fit(&movie(cell(frames, height, width).0));
        assert_eq!((lowrank.height(), lowrank.width()), (height, width));
        assert_eq!(lowrank.frames(), frames);
    }
    // Fewer frames than pixels of a block, and a cell nevertheless.
    let (data, course) = cell(200, 64, 64);
    check(&fit(&movie(data)), &course);
}

#[test]
fn what_cannot_be_denoised_is_refused() {
    let denoiser = Denoiser::new(Parameters::default()).unwrap();
    for (frames, side) in [(0, 10), (1, 10), (15, 10), (50, 0)] {
        let movie = ArrayMovie::new(Array3::<f32>::zeros((frames, side, side)));
        assert!(matches!(
            denoiser.fit(&movie, Budget::default(), &silent),
            Err(Error::Input(_))
        ));
    }
    let wrong = Parameters {
        significance: 0.0,
        ..Parameters::default()
    };
    assert!(matches!(Denoiser::new(wrong), Err(Error::Parameter { .. })));
}

#[test]
fn single_blocks_are_checked() {
    let parameters = Parameters::default();
    assert!(BlockSearch::new([1, 0, 8], 50, &parameters).is_err());
    assert!(BlockSearch::new([1, 8, 8], 2, &parameters).is_err());
    let search = BlockSearch::new([1, 8, 8], 50, &parameters).unwrap();
    let mut block = Array2::<f32>::zeros((64, 50));
    let found = search.components(block.view(), [1, 8, 8]).unwrap();
    assert_eq!(found.images.dim(), (64, 0));
    assert!(search.components(block.view(), [1, 8, 9]).is_err());
    assert!(
        search
            .components(block.slice(s![.., ..49]), [1, 8, 8])
            .is_err()
    );
    block[[3, 3]] = f32::NAN;
    assert!(search.components(block.view(), [1, 8, 8]).is_err());
}
