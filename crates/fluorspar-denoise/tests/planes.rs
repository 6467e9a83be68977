//! Planes of a volume movie, one by one.

mod common;

use common::{courses, fit_with, noise, spot, volume};
use fluorspar_denoise::Parameters;
use fluorspar_movie::{Movie, MovieExt, Plane};

#[test]
fn a_plane_alone_gives_what_it_gives_in_the_volume() {
    // Too short to be averaged, so nothing is judged by all planes together.
    let (frames, planes, height, width) = (150, 3, 50, 40);
    let data = noise(frames * planes, height, width, 8);
    let mut data = data
        .into_shape_with_order((frames, planes, height, width))
        .unwrap();
    for (k, course) in courses(planes, frames, 15.0, 2).iter().enumerate() {
        let (y, x) = (12.0 * k as f32 + 10.0, 20.0);
        for ((t, plane, i, j), value) in data.indexed_iter_mut() {
            if plane == k {
                *value += 4.0 * course[t] * spot(y, x, 4.0, (i, j));
            }
        }
    }
    let movie = volume(data);
    let parameters = Parameters {
        smoothing_loss: 0.0,
        ..Parameters::default()
    };
    let all = fit_with(&movie, parameters.clone());
    let mut rank = 0;
    for k in 0..planes {
        let plane = Plane::new(&movie, k).unwrap();
        let own = fit_with(&plane, parameters.clone());
        assert!(own.rank() > 0);
        assert_eq!(
            own.v(),
            all.v().slice(ndarray::s![rank..rank + own.rank(), ..])
        );
        let image = ndarray::s![k..k + 1, .., ..];
        assert_eq!(own.mean(), all.mean().slice(image));
        assert_eq!(own.noise(), all.noise().slice(image));
        for pixel in 0..height * width {
            let (components, weights) = all.row(k * height * width + pixel);
            let (own, same) = own.row(pixel);
            assert!(
                own.iter()
                    .map(|&c| c as usize + rank)
                    .eq(components.iter().map(|&c| c as usize))
            );
            assert_eq!(weights, same);
        }
        // The denoised volume, too, is read plane by plane.
        let denoised = Plane::new(&all, k).unwrap().read_array(20..50).unwrap();
        assert_eq!(denoised, own.read_array(20..50).unwrap());
        let rows = k * height..(k + 1) * height;
        let whole = all.read_array(20..50).unwrap();
        assert_eq!(denoised, whole.slice(ndarray::s![.., rows, ..]));
        rank += own.rank();
    }
    assert_eq!(rank, all.rank());
    assert!(
        all.read_plane(planes, 0..1, &mut vec![0.0; height * width])
            .is_err()
    );
}
