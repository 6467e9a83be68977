//! Movies of nothing, and requests and parts that make no sense.

mod factors;

use factors::{Looks, movie, parts};
use fluorspar_denoise::{Blocks, Error, LowRank, Neighbours, Parts, Projection, Variability};
use fluorspar_movie::{ArrayMovie, Footprints, silent};
use ndarray::Array3;

/// Makes parts that do not fit.
type Spoil = fn(&mut Parts);

#[test]
fn movies_of_nothing_answer() {
    let usual = Looks {
        size: (2, 3, 4),
        rank: 2,
        frames: 5,
        tiled: true,
        seed: 1,
    };
    for (size, rank, frames) in [
        ((2, 3, 4), 0, 5),
        ((2, 3, 4), 2, 0),
        ((2, 3, 4), 0, 0),
        ((2, 3, 4), 2, 1),
        ((0, 3, 4), 2, 5),
        ((2, 0, 4), 2, 5),
        ((2, 3, 0), 2, 5),
        ((1, 1, 1), 2, 5),
    ] {
        let mut parts = parts(Looks {
            size,
            rank,
            frames,
            ..usual
        });
        // A constant course has no variance, and pixels of it no correlation.
        if rank > 0 {
            parts.v.row_mut(0).fill(0.1);
        }
        let movie = LowRank::from_parts(parts).unwrap();
        let finite = |image: Array3<f32>| {
            assert_eq!(image.dim(), size);
            assert!(image.iter().all(|v| v.is_finite()));
        };
        finite(movie.variance_image());
        for projection in [
            Projection::Max,
            Projection::Min,
            Projection::Mean,
            Projection::StandardDeviation,
        ] {
            finite(movie.projection(projection));
        }
        finite(movie.correlation_image(Neighbours::Eight, Variability::Denoised));
        assert_eq!(
            movie
                .project(&Footprints::new(size.1, size.2))
                .unwrap()
                .dim(),
            (0, frames)
        );
        assert_eq!(movie.gram_of_components().size(), rank);
        assert_eq!(
            movie.gram_of_frames(0..frames).unwrap().dim(),
            (frames, frames)
        );
        let principal = movie.principal(3, 1).unwrap();
        assert!(principal.images.iter().all(|v| v.is_finite()));
        let orthogonal = movie.orthogonal().unwrap();
        assert!(orthogonal.mixing.iter().all(|v| v.is_finite()));
        let all = movie
            .window(0..frames, 0..size.0, 0..size.1, 0..size.2)
            .unwrap();
        assert_eq!(all.len(), frames * size.0 * size.1 * size.2);
    }
}

#[test]
fn what_the_movie_does_not_have_is_refused() {
    let movie = movie(Looks {
        size: (2, 3, 4),
        rank: 2,
        frames: 5,
        tiled: true,
        seed: 1,
    });
    let refused = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Input(_))));
    refused(movie.window(0..6, 0..1, 0..1, 0..1).map(drop));
    refused(movie.window(0..1, 0..3, 0..1, 0..1).map(drop));
    refused(movie.window(0..1, 0..1, 0..4, 0..1).map(drop));
    refused(movie.window(0..1, 0..1, 0..1, 5..5).map(drop));
    #[expect(clippy::reversed_empty_ranges, reason = "what a caller might ask")]
    let backwards = 3..2;
    refused(movie.window(backwards, 0..1, 0..1, 0..1).map(drop));
    refused(movie.trace(24).map(drop));
    refused(movie.gram_of_frames(2..6).map(drop));
    refused(movie.project(&Footprints::new(4, 3)).map(drop));
    let mut footprints = Footprints::new(3, 4);
    footprints.push(&[1], &[1.0], 2).unwrap();
    refused(movie.project(&footprints).map(drop));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let good = parts(Looks {
        size: (1, 3, 4),
        rank: 4,
        frames: 5,
        tiled: true,
        seed: 3,
    });
    let spoils: [Spoil; 10] = [
        |p| p.u_indptr[3] = u64::MAX,
        |p| p.u_indptr.truncate(1),
        |p| p.u_indptr.clear(),
        |p| p.u_indices[0] = 4,
        |p| p.u_indices.swap(0, 1),
        |p| p.u_weights[0] = f32::NAN,
        |p| p.u_weights[0] = 1e39_f64 as f32,
        |p| p.noise[[0, 0, 0]] = -1.0,
        |p| p.u_weights[0] = 3e38,
        |p| p.component_block.truncate(1),
    ];
    assert!(good.u_indptr[1] >= 2);
    assert!(LowRank::from_parts(good.clone()).is_ok());
    for (k, spoil) in spoils.iter().enumerate() {
        let mut bad = good.clone();
        if k == 8 {
            bad.v *= 10.0;
        }
        spoil(&mut bad);
        assert!(
            matches!(LowRank::from_parts(bad), Err(Error::Input(_))),
            "{k}"
        );
    }
}

#[test]
fn stored_blocks_of_no_size_are_refused() {
    let looks = Looks {
        size: (1, 8, 9),
        rank: 2,
        frames: 5,
        tiled: true,
        seed: 4,
    };
    for (planes, side) in [(1, 0), (0, 32), (1, 100_000)] {
        let mut parts = parts(looks);
        parts.blocks = Blocks { planes, side };
        assert!(matches!(LowRank::from_parts(parts), Err(Error::Input(_))));
    }
}

#[test]
fn frames_that_cannot_be_followed_change_nothing() {
    let looks = Looks {
        size: (1, 8, 9),
        rank: 2,
        frames: 5,
        tiled: true,
        seed: 4,
    };
    let mut low = movie(looks);
    let huge = ArrayMovie::new(Array3::from_elem((3, 8, 9), f32::MAX));
    assert!(matches!(low.extend(&huge, &silent), Err(Error::Input(_))));
    assert_eq!(low, movie(looks));
    let mut empty = movie(Looks {
        size: (1, 0, 9),
        ..looks
    });
    let nothing = ArrayMovie::new(Array3::<f32>::zeros((3, 0, 9)));
    assert!(matches!(
        empty.extend(&nothing, &silent),
        Err(Error::Input(_))
    ));
}
