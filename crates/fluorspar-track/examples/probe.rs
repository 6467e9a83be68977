use fluorspar_simulate::{Fields, FieldsPlan};
use fluorspar_track::*;
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut plan = FieldsPlan::default();
    let mut seeds = 1;
    let mut images = true;
    let mut verbose = false;
    let mut target = 0.0;
    for pair in args.chunks(2) {
        let v: f64 = pair[1].parse().unwrap();
        match pair[0].as_str() {
            "sessions" => plan.sessions = v as usize,
            "cells" => plan.cells = v as usize,
            "planes" => plan.planes = v as usize,
            "size" => {
                plan.height = v as usize;
                plan.width = v as usize
            }
            "seed" => plan.seed = v as u64,
            "diameter" => plan.diameter_px = v,
            "jitter" => plan.jitter_px = v,
            "shape" => plan.shape_noise = v,
            "turnover" => plan.turnover = v,
            "rot" => plan.rotation_deg = v,
            "shift" => plan.shift_px = v,
            "warp" => plan.warp_px = v,
            "wl" => plan.warp_length_px = v,
            "spacing" => plan.spacing = v,
            "axial" => plan.axial_planes = v as i32,
            "seeds" => seeds = v as u64,
            "false" => plan.false_rois = v,
            "frag" => plan.fragment_fraction = v,
            "merge" => plan.merge_fraction = v,
            "images" => images = v > 0.0,
            "verbose" => verbose = v > 0.0,
            "target" => target = v,
            _ => panic!("{}", pair[0]),
        }
    }
    plan.mean_images = images;
    let mut bins = vec![(0.0, 0.0, 0.0); 10];
    let mut ebins = vec![(0.0, 0.0, 0.0); 10];
    let mut cbins = vec![(0.0, 0.0, 0.0); 10];
    for seed in 0..seeds {
        let mut plan = plan.clone();
        plan.seed += seed;
        let t = Instant::now();
        let fields = Fields::build(&plan).unwrap();
        let built = t.elapsed().as_secs_f64();
        let sessions: Vec<SessionRois<'_>> = fields
            .sessions
            .iter()
            .map(|s| {
                let r = SessionRois::new(&s.footprints);
                match &s.mean_image {
                    Some(i) => r.with_mean_image(i.view()),
                    None => r,
                }
            })
            .collect();
        let parameters = Parameters {
            max_distance: 1.2 * plan.diameter_px,
            target_precision: target,
            reference: Some(0),
            ..Parameters::default()
        };
        let t = Instant::now();
        let tracks = track(&sessions, &parameters).unwrap();
        let took = t.elapsed().as_secs_f64();
        // alignment errors
        let (h, w) = (plan.height as f64, plan.width as f64);
        for (s, a) in tracks.alignments.iter().enumerate() {
            let mut e = vec![];
            for i in 0..=10 {
                for j in 0..=10 {
                    let p = (
                        h * (0.02 + 0.96 * i as f64 / 10.0),
                        w * (0.02 + 0.96 * j as f64 / 10.0),
                    );
                    let t = fields.to_session(s, p);
                    if t.0 < 0.0 || t.1 < 0.0 || t.0 > h || t.1 > w {
                        continue;
                    }
                    let g = a.transform.to_session(p);
                    e.push((t.0 - g.0).hypot(t.1 - g.1));
                }
            }
            e.sort_by(f64::total_cmp);
            if verbose {
                println!(
                    "  s{s} {:?} sig {:.1} thr {:?} med {:.2} p95 {:.2} max {:.2} dz {} true {} bend {:.2}",
                    a.verdict,
                    a.significance,
                    a.through,
                    e[e.len() / 2],
                    e[e.len() * 95 / 100],
                    e[e.len() - 1],
                    a.transform.plane_offset,
                    fields.axial(s),
                    a.transform.bend()
                );
            }
        }
        let cell = |s: usize, r: i32| fields.sessions[s].cell[r as usize];
        let (mut right, mut all) = (0.0, 0.0);
        for (row, p) in tracks
            .roi_index
            .rows()
            .into_iter()
            .zip(tracks.p_same.rows())
        {
            for i in 0..row.len() {
                if row[i] >= 0 {
                    let others: Vec<usize> =
                        (0..row.len()).filter(|&j| j != i && row[j] >= 0).collect();
                    if !others.is_empty() {
                        let ok = others
                            .iter()
                            .filter(|&&j| {
                                cell(i, row[i]) >= 0 && cell(i, row[i]) == cell(j, row[j])
                            })
                            .count() as f64
                            / others.len() as f64;
                        let b = &mut ebins[((p[i] * 10.0) as usize).min(9)];
                        b.0 += 1.0;
                        b.1 += p[i] as f64;
                        b.2 += ok;
                    }
                }
                for j in i + 1..row.len() {
                    if row[i] >= 0 && row[j] >= 0 {
                        all += 1.0;
                        let (a, b) = (cell(i, row[i]), cell(j, row[j]));
                        if a >= 0 && a == b {
                            right += 1.0
                        }
                    }
                }
            }
        }
        let truth = fields.roi_index();
        let mut possible = 0.0;
        for row in truth.rows() {
            let n = row.iter().filter(|&&r| r >= 0).count() as f64;
            possible += n * (n - 1.0) / 2.0;
        }
        let (pr, re) = (right / all, right / possible);
        for pair in &tracks.pairs {
            let (a, b) = (
                cell(pair.sessions[0] as usize, pair.rois[0] as i32),
                cell(pair.sessions[1] as usize, pair.rois[1] as i32),
            );
            if verbose
                && ((pair.p_same > 0.9 && !(a >= 0 && a == b))
                    || (pair.p_same < 0.2 && a >= 0 && a == b))
            {
                let k = |s: usize, r: u32| fields.sessions[s].kind[r as usize];
                println!(
                    "  wrong{:?} p {:.3} d {:.2} shape {:.3} corr {:.3} {:?} {:?} cells {a} {b} dist {:.1}",
                    a == b,
                    pair.p_same,
                    pair.distance,
                    pair.shape,
                    pair.correlation,
                    k(pair.sessions[0] as usize, pair.rois[0]),
                    k(pair.sessions[1] as usize, pair.rois[1]),
                    if a >= 0 && b >= 0 {
                        let (p, q) = (fields.centres[a as usize], fields.centres[b as usize]);
                        (p.0 - q.0).hypot(p.1 - q.1)
                    } else {
                        -1.0
                    }
                );
            }
            {
                use fluorspar_simulate::RoiKind;
                let k = |s: usize, r: u32| fields.sessions[s].kind[r as usize];
                let m = k(pair.sessions[0] as usize, pair.rois[0]) == RoiKind::Merged
                    || k(pair.sessions[1] as usize, pair.rois[1]) == RoiKind::Merged;
                if !m {
                    let b2 = &mut cbins[((pair.p_same * 10.0) as usize).min(9)];
                    b2.0 += 1.0;
                    b2.1 += pair.p_same as f64;
                    b2.2 += f64::from(u8::from(a >= 0 && a == b));
                }
            }
            let bin = &mut bins[((pair.p_same * 10.0) as usize).min(9)];
            bin.0 += 1.0;
            bin.1 += pair.p_same as f64;
            bin.2 += f64::from(u8::from(a >= 0 && a == b));
        }
        println!(
            "seed {} P {pr:.4} R {re:.4} F1 {:.4} exp {:.4} cut {:.3} pairs {} built {built:.1}s took {took:.2}s",
            plan.seed,
            2.0 * pr * re / (pr + re),
            tracks.expected_precision,
            tracks.min_p_same,
            tracks.pairs.len()
        );
        if verbose {
            println!("  {:?}", tracks.model.same);
            println!(
                "  strewn {:.3} near {:.2?} area {:.2}",
                tracks.model.strewn, tracks.model.different_near, tracks.model.strewn
            );
            for f in &tracks.fits {
                if f.sessions.0 == 0 {
                    println!(
                        "  fit {:?} aligned {:.3} matched {:.3} ef {:.2} fc {:.2}",
                        f.sessions,
                        f.aligned_share,
                        f.matched_share,
                        f.expected_false,
                        f.false_by_chance
                    );
                }
            }
        }
    }
    print!("pairs:  ");
    for b in &bins {
        print!("{:.3}/{:.3}({}) ", b.1 / b.0, b.2 / b.0, b.0);
    }
    print!("\nunmerged:  ");
    for b in &cbins {
        print!("{:.3}/{:.3}({}) ", b.1 / b.0, b.2 / b.0, b.0);
    }
    print!("\nentries: ");
    for b in &ebins {
        print!("{:.3}/{:.3}({}) ", b.1 / b.0, b.2 / b.0, b.0);
    }
    println!();
}
