//! OME-Zarr: what we write is what the specification's own types accept; what
//! others write in other orders is read.

use std::fs;
use std::path::Path;

use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{
    Error, GroupReader, MovieReader, MovieWriter, OpenOptions, PixelSize, WriteOptions,
};
use ome_zarr_metadata::v0_5::OmeFields;
use serde_json::{Value, json};

fn write(path: &Path, shape: MovieShape, options: &WriteOptions) -> Vec<f32> {
    let data: Vec<f32> = (0..shape.frames * shape.frame_len())
        .map(|i| (i * 7919 % 1009) as f32)
        .collect();
    let mut writer = MovieWriter::create_with(path, shape, PixelType::U16, options).unwrap();
    writer.write(0, &data).unwrap();
    writer.finish().unwrap();
    data
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn written_groups_are_valid_and_come_back() {
    let size = PixelSize {
        y: 1.25,
        x: 1.5,
        z: Some(15.0),
    };
    for (planes, pixel_size, frame_rate) in [
        (1, None, None),
        (1, Some(PixelSize { z: None, ..size }), Some(8.0)),
        (3, Some(size), Some(29.97)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.ome.zarr");
        let shape = MovieShape::new(20, planes, 9, 8);
        let options = WriteOptions {
            frame_rate,
            pixel_size,
            ome: true,
            ..WriteOptions::default()
        };
        let data = write(&path, shape, &options);
        let group = json_of(&path.join("zarr.json"));
        let ome: OmeFields = serde_json::from_value(group["attributes"]["ome"].clone()).unwrap();
        let image = &ome.multiscales.unwrap()[0];
        assert_eq!(image.axes.len(), if planes > 1 { 4 } else { 3 });
        assert_eq!(image.datasets.len(), 1);
        assert_eq!(
            group["consolidated_metadata"]["metadata"]["0"],
            json_of(&path.join("0/zarr.json"))
        );
        for place in [path.clone(), path.join("0")] {
            let movie = MovieReader::open(place).unwrap();
            assert_eq!(movie.shape(), shape);
            assert_eq!(movie.frame_rate(), frame_rate);
            assert_eq!(movie.pixel_size(), pixel_size);
            let all = movie.read_array(0..20).unwrap();
            assert!(all.iter().eq(data.iter()));
        }
        // Without our own attributes the scales still say it.
        let mut array = json_of(&path.join("0/zarr.json"));
        array["attributes"] = json!({});
        fs::write(path.join("0/zarr.json"), array.to_string()).unwrap();
        let movie = MovieReader::open(&path).unwrap();
        assert_eq!(movie.pixel_size(), pixel_size);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12 * b;
        assert_eq!(movie.frame_rate().is_some(), frame_rate.is_some());
        assert!(
            movie
                .frame_rate()
                .zip(frame_rate)
                .is_none_or(|(a, b)| close(a, b))
        );
    }
}

#[test]
fn an_array_with_its_axes_in_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    // Written as (t, z, y, x) = (6, 2, 3, 4), then renamed.
    let data = write(&path, MovieShape::new(6, 2, 3, 4), &WriteOptions::default());
    let mut array = json_of(&path.join("zarr.json"));
    array["dimension_names"] = json!(["x", "t", "z", "y"]);
    fs::write(path.join("zarr.json"), array.to_string()).unwrap();
    let movie = MovieReader::open(&path).unwrap();
    assert_eq!(movie.shape(), MovieShape::new(2, 3, 4, 6));
    let stored = ndarray::Array4::from_shape_vec((6, 2, 3, 4), data).unwrap();
    let want = stored.permuted_axes([1, 2, 3, 0]);
    let mut got = vec![0.0; 144];
    movie.read(0..2, &mut got).unwrap();
    assert!(want.iter().eq(got.iter()));
    let mut window = vec![0.0; 3 * 2 * 3];
    movie.read_window(1..2, 1..3, 2..5, &mut window).unwrap();
    let part = want.slice(ndarray::s![1..2, .., 1..3, 2..5]);
    assert!(part.iter().eq(window.iter()));
    let mut native = vec![0u16; 72];
    movie
        .read_native(1..2, bytemuck::cast_slice_mut(&mut native))
        .unwrap();
    assert!(
        want.slice(ndarray::s![1, .., .., ..])
            .iter()
            .zip(&native)
            .all(|(&a, &b)| a == f32::from(b))
    );
}

#[test]
fn channels_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let data = write(&path, MovieShape::new(6, 2, 3, 4), &WriteOptions::default());
    let mut array = json_of(&path.join("zarr.json"));
    array["dimension_names"] = json!(["t", "c", "y", "x"]);
    fs::write(path.join("zarr.json"), array.to_string()).unwrap();
    assert!(matches!(
        MovieReader::open(&path),
        Err(Error::Channel { count: 2, .. })
    ));
    for channel in 0..2 {
        let options = OpenOptions {
            channel: Some(channel),
            ..OpenOptions::default()
        };
        let movie = MovieReader::open_with(&path, &options).unwrap();
        assert_eq!(movie.shape(), MovieShape::new(6, 1, 3, 4));
        let all = movie.read_array(0..6).unwrap();
        let want = data
            .chunks(24)
            .flat_map(|frame| &frame[channel * 12..channel * 12 + 12]);
        assert!(all.iter().eq(want));
    }
}

#[test]
fn consolidated_metadata_stand_in_for_missing_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let options = WriteOptions {
        ome: true,
        ..WriteOptions::default()
    };
    write(&path, MovieShape::new(6, 1, 3, 4), &options);
    fs::remove_file(path.join("0/zarr.json")).unwrap();
    assert_eq!(MovieReader::open(&path).unwrap().shape().frames, 6);
    assert_eq!(GroupReader::open(&path).unwrap().names().unwrap(), ["0"]);
    // Version 2, with nothing but `.zmetadata` and chunks.
    let root = folder.path().join("v2.zarr");
    fs::create_dir_all(root.join("a")).unwrap();
    fs::write(root.join("a/0.0.0"), [1, 2, 3, 4]).unwrap();
    let metadata = json!({"zarr_consolidated_format": 1, "metadata": {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {"frame_rate": 7.0},
        "a/.zarray": {"zarr_format": 2, "shape": [1, 2, 2], "chunks": [1, 2, 2], "dtype": "|u1",
            "order": "C", "fill_value": 0, "filters": null, "compressor": null},
    }});
    fs::write(root.join(".zmetadata"), metadata.to_string()).unwrap();
    let movie = MovieReader::open(&root).unwrap();
    assert_eq!(movie.frame_rate(), Some(7.0));
    assert_eq!(
        movie.read_array(0..1).unwrap().as_slice().unwrap(),
        [1.0, 2.0, 3.0, 4.0]
    );
}

#[test]
fn a_group_of_one_image_is_that_image() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions {
        ome: true,
        ..WriteOptions::default()
    };
    let root = folder.path().join("converted.zarr");
    fs::create_dir(&root).unwrap();
    let group = json!({"zarr_format": 3, "node_type": "group",
        "attributes": {"ome": {"version": "0.5", "bioformats2raw.layout": 3}}});
    fs::write(root.join("zarr.json"), group.to_string()).unwrap();
    write(&root.join("0"), MovieShape::new(6, 1, 3, 4), &options);
    assert_eq!(MovieReader::open(&root).unwrap().shape().frames, 6);
    write(&root.join("1"), MovieShape::new(6, 1, 3, 4), &options);
    let error = MovieReader::open(&root).unwrap_err().to_string();
    assert!(error.contains("0, 1"), "{error}");
}
