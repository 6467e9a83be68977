//! Between `f32` and stored types, a whole buffer at a time.

use crate::{PixelType, Sample};

/// Samples that an integer type could not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Values beyond the type's range, which took its nearest end.
    pub saturated: u64,
    /// NaN values, which became 0.
    pub nan: u64,
}

impl std::ops::AddAssign for Lost {
    fn add_assign(&mut self, other: Self) {
        self.saturated += other.saturated;
        self.nan += other.nan;
    }
}

/// Calls `$function::<T>` for the type of a tag.
macro_rules! for_type {
    ($pixel_type:expr, $function:ident($($argument:expr),*)) => {
        match $pixel_type {
            PixelType::U8 => $function::<u8>($($argument),*),
            PixelType::I8 => $function::<i8>($($argument),*),
            PixelType::U16 => $function::<u16>($($argument),*),
            PixelType::I16 => $function::<i16>($($argument),*),
            PixelType::U32 => $function::<u32>($($argument),*),
            PixelType::I32 => $function::<i32>($($argument),*),
            PixelType::F32 => $function::<f32>($($argument),*),
            PixelType::F64 => $function::<f64>($($argument),*),
        }
    };
}

/// Converts samples to native-endian bytes of `pixel_type` as
/// [`Sample::from_f32`] does, and counts what the type could not hold.
/// Converts as many as both buffers have.
///
/// ```
/// use fluorspar_movie::{PixelType, to_native};
///
/// let mut bytes = [0; 6];
/// let lost = to_native(PixelType::I16, &[1.5, -2.4, 1e6], &mut bytes);
/// assert_eq!(bytes, [2_i16, -2, i16::MAX].map(i16::to_ne_bytes).concat()[..]);
/// assert_eq!(lost.saturated, 1);
/// ```
pub fn to_native(pixel_type: PixelType, values: &[f32], bytes: &mut [u8]) -> Lost {
    match pixel_type {
        PixelType::U8 => store_small::<u8>(values, bytes),
        PixelType::I8 => store_small::<i8>(values, bytes),
        PixelType::U16 => store_small::<u16>(values, bytes),
        PixelType::I16 => store_small::<i16>(values, bytes),
        PixelType::U32 => store::<u32>(values, bytes),
        PixelType::I32 => store::<i32>(values, bytes),
        PixelType::F32 => store::<f32>(values, bytes),
        PixelType::F64 => store::<f64>(values, bytes),
    }
}

/// Converts native-endian bytes of `pixel_type` to `f32` as
/// [`Sample::to_f32`] does; as many as both buffers have.
pub fn from_native(pixel_type: PixelType, bytes: &[u8], values: &mut [f32]) {
    for_type!(pixel_type, load(bytes, values));
}

fn store<T: Sample>(values: &[f32], bytes: &mut [u8]) -> Lost {
    let mut lost = Lost::default();
    if let Some((low, high)) = ends(T::PIXEL_TYPE) {
        for &value in values {
            lost.saturated += u64::from(value < low || value >= high);
            lost.nan += u64::from(value.is_nan());
        }
    }
    for (target, &value) in bytes.chunks_exact_mut(size_of::<T>()).zip(values) {
        target.copy_from_slice(bytemuck::bytes_of(&T::from_f32(value)));
    }
    lost
}

/// Integers of 8 and 16 bits.
trait Small: Sample {
    /// Of a number within the type's range.
    fn narrow(value: i32) -> Self;
}

macro_rules! small {
    ($($type:ty)*) => {$(
        impl Small for $type {
            #[inline(always)]
            fn narrow(value: i32) -> Self {
                value as Self
            }
        }
    )*};
}
small!(u8 i8 u16 i16);

/// Added to a number below 2^22, this leaves no room for a fraction.
const NO_FRACTION: f32 = 12_582_912.0;

crate::vectorised! {
    /// As [`store`] for integers of 8 and 16 bits, several at a time.
    fn store_small<'a, T: Small>(values: &'a [f32], bytes: &'a mut [u8]) -> Lost {
        let (low, high) = ends(T::PIXEL_TYPE).unwrap_or_default();
        let ends = [low, high, low.ceil(), (high - 0.5).floor()];
        let mut lost = Lost::default();
        // Parts short enough for the narrow counters of `round`.
        for (part, target) in values.chunks(1024).zip(bytes.chunks_mut(1024 * size_of::<T>())) {
            let (mut saturated, mut nan) = (0_u32, 0_u32);
            if let Ok(samples) = bytemuck::try_cast_slice_mut::<u8, T>(target) {
                for (sample, &value) in samples.iter_mut().zip(part) {
                    *sample = T::narrow(round(value, ends, &mut saturated, &mut nan));
                }
            } else {
                for (sample, &value) in target.chunks_exact_mut(size_of::<T>()).zip(part) {
                    let whole = T::narrow(round(value, ends, &mut saturated, &mut nan));
                    sample.copy_from_slice(bytemuck::bytes_of(&whole));
                }
            }
            lost.saturated += u64::from(saturated);
            lost.nan += u64::from(nan);
        }
        lost
    }

    fn load<'a, T: Sample>(bytes: &'a [u8], values: &'a mut [f32]) {
        if let Ok(samples) = bytemuck::try_cast_slice::<u8, T>(bytes) {
            for (target, sample) in values.iter_mut().zip(samples) {
                *target = sample.to_f32();
            }
        } else {
            for (target, sample) in values.iter_mut().zip(bytes.chunks_exact(size_of::<T>())) {
                *target = bytemuck::pod_read_unaligned::<T>(sample).to_f32();
            }
        }
    }
}

/// The nearest whole number, halves to even, within the last two of `ends`;
/// NaN becomes 0. Counts values outside the first two, and NaN.
#[inline(always)]
fn round(value: f32, ends: [f32; 4], saturated: &mut u32, nan: &mut u32) -> i32 {
    let [low, high, least, most] = ends;
    *saturated += u32::from(value < low) + u32::from(value >= high);
    *nan += u32::from(value.is_nan());
    let inside = if value < least { least } else { value };
    let inside = if inside > most { most } else { inside };
    let inside = if value.is_nan() { 0.0 } else { inside };
    (inside + NO_FRACTION).to_bits() as i32 - NO_FRACTION.to_bits() as i32
}

/// Below the first and from the second on, rounding leaves the type's range.
///
/// The largest value is odd, so the half above it rounds up and out; the
/// smallest is even, so the half below it rounds back in.
fn ends(pixel_type: PixelType) -> Option<(f32, f32)> {
    Some(match pixel_type {
        PixelType::U8 => (-0.5, 255.5),
        PixelType::I8 => (-128.5, 127.5),
        PixelType::U16 => (-0.5, 65_535.5),
        PixelType::I16 => (-32_768.5, 32_767.5),
        PixelType::U32 => (-0.5, 4_294_967_296.0),
        PixelType::I32 => (-2_147_483_648.0, 2_147_483_648.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost<T: Sample>(values: &[f32]) -> (u64, u64) {
        let lost = store::<T>(values, &mut vec![0; values.len() * size_of::<T>()]);
        (lost.saturated, lost.nan)
    }

    #[test]
    fn saturation_is_counted_where_rounding_leaves_the_range() {
        assert_eq!(lost::<u8>(&[-0.5, 255.4, 0.0]), (0, 0));
        assert_eq!(lost::<u8>(&[-0.51, 255.5, f32::NAN]), (2, 1));
        assert_eq!(lost::<i16>(&[-32_768.5, 32_767.4]), (0, 0));
        assert_eq!(lost::<i16>(&[-32_768.6, 32_767.5]), (2, 0));
        assert_eq!(lost::<i32>(&[i32::MIN as f32, i32::MAX as f32]), (1, 0));
        assert_eq!(lost::<u32>(&[f32::INFINITY, f32::NEG_INFINITY]), (2, 0));
        assert_eq!(lost::<f32>(&[f32::INFINITY, f32::NAN]), (0, 0));
    }
}
