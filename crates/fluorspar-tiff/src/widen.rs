//! From stored samples to `f32`.

use fluorspar_movie::{PixelType, Sample};

/// Widens samples of `pixel_type` into `out`, reversing their bytes if they
/// are `swapped`.
pub(crate) fn widen(pixel_type: PixelType, bytes: &[u8], swapped: bool, out: &mut [f32]) {
    match pixel_type {
        PixelType::U8 => each::<u8, 1>(bytes, swapped, out),
        PixelType::I8 => each::<i8, 1>(bytes, swapped, out),
        PixelType::U16 => each::<u16, 2>(bytes, swapped, out),
        PixelType::I16 => each::<i16, 2>(bytes, swapped, out),
        PixelType::U32 => each::<u32, 4>(bytes, swapped, out),
        PixelType::I32 => each::<i32, 4>(bytes, swapped, out),
        PixelType::F32 => each::<f32, 4>(bytes, swapped, out),
        _ => each::<f64, 8>(bytes, swapped, out),
    }
}

/// One loop per byte order: a branch inside would keep either from being vectorised.
fn each<T: Sample, const N: usize>(bytes: &[u8], swapped: bool, out: &mut [f32]) {
    let numbers = bytes.as_chunks::<N>().0;
    if swapped {
        for (slot, number) in out.iter_mut().zip(numbers) {
            let mut turned = *number;
            turned.reverse();
            *slot = bytemuck::pod_read_unaligned::<T>(&turned).to_f32();
        }
    } else {
        for (slot, number) in out.iter_mut().zip(numbers) {
            *slot = bytemuck::pod_read_unaligned::<T>(number).to_f32();
        }
    }
}
