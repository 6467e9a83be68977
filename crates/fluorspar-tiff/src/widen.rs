//! From stored samples to `f32`.

use fluorspar_movie::{PixelType, Sample, from_native};

/// Widens samples of `pixel_type` into `out`, reversing their bytes if they
/// are `swapped`.
pub(crate) fn widen(pixel_type: PixelType, bytes: &[u8], swapped: bool, out: &mut [f32]) {
    if !swapped {
        return from_native(pixel_type, bytes, out);
    }
    match pixel_type {
        PixelType::U8 => each::<u8, 1>(bytes, out),
        PixelType::I8 => each::<i8, 1>(bytes, out),
        PixelType::U16 => each::<u16, 2>(bytes, out),
        PixelType::I16 => each::<i16, 2>(bytes, out),
        PixelType::U32 => each::<u32, 4>(bytes, out),
        PixelType::I32 => each::<i32, 4>(bytes, out),
        PixelType::F32 => each::<f32, 4>(bytes, out),
        _ => each::<f64, 8>(bytes, out),
    }
}

fn each<T: Sample, const N: usize>(bytes: &[u8], out: &mut [f32]) {
    for (slot, number) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        let mut turned = *number;
        turned.reverse();
        *slot = bytemuck::pod_read_unaligned::<T>(&turned).to_f32();
    }
}
