//! dev only
use fluorspar_movie::{Budget, silent};
use fluorspar_segment::{Detector, Parameters};
use std::io::Write;
fn main() {
    let mut p = Parameters::default();
    let args: Vec<String> = std::env::args().skip(1).collect();
    for a in args.iter() {
        if let Some((k, v)) = a.split_once('=') {
            let v: f64 = v.parse().unwrap();
            match k {
                "diameter" => p.diameter = v,
                "bin_s" => p.bin_s = v,
                "min_snr" => p.min_snr = v,
                "support" => p.support = v,
                "merge" => p.merge_correlation = v,
                _ => panic!(),
            }
        }
    }
    for dir in args.iter().filter(|a| !a.contains('=')) {
        let dir = std::path::Path::new(dir);
        let lr = fluorspar_pipeline::read_lowrank(&dir.join("lowrank.zarr")).unwrap();
        let t = std::time::Instant::now();
        let found = Detector::new(p.clone())
            .unwrap()
            .detect(&lr, 30.0, Budget { bytes: 1 << 30 }, &silent)
            .unwrap();
        let s = t.elapsed().as_secs_f64();
        let fp = &found.footprints;
        let mut f = std::io::BufWriter::new(std::fs::File::create(dir.join("rois.bin")).unwrap());
        f.write_all(&(fp.len() as u64).to_le_bytes()).unwrap();
        for &v in fp.indptr() {
            f.write_all(&(v as u64).to_le_bytes()).unwrap();
        }
        for &v in fp.indices() {
            f.write_all(&v.to_le_bytes()).unwrap();
        }
        for &v in fp.weights() {
            f.write_all(&v.to_le_bytes()).unwrap();
        }
        for e in &found.evidence {
            f.write_all(&e.snr.to_le_bytes()).unwrap();
        }
        for e in &found.evidence {
            for v in e.features().into_iter().take(8) {
                f.write_all(&(v as f32).to_le_bytes()).unwrap();
            }
            f.write_all(&e.probability.to_le_bytes()).unwrap();
            f.write_all(&e.duplicate.to_le_bytes()).unwrap();
        }
        println!("{} {} rois {:.2} s", dir.display(), fp.len(), s);
    }
}
