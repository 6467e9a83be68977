//! From `f32` to the stored type: nearest value, with what does not fit counted.

use fluorspar_movie::{PixelType, Sample};

/// Samples that an integer type could not hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) saturated: u64,
    pub(crate) nan: u64,
}

impl Lost {
    pub(crate) fn add(&mut self, other: Self) {
        self.saturated += other.saturated;
        self.nan += other.nan;
    }
}

/// Converts samples to native-endian bytes of one type.
pub(crate) type Convert = fn(&[f32], &mut [u8]) -> Lost;

/// The conversion to a pixel type.
pub(crate) fn converter(pixel_type: PixelType) -> Option<Convert> {
    Some(match pixel_type {
        PixelType::U8 => to_native::<u8>,
        PixelType::I8 => to_native::<i8>,
        PixelType::U16 => to_native::<u16>,
        PixelType::I16 => to_native::<i16>,
        PixelType::U32 => to_native::<u32>,
        PixelType::I32 => to_native::<i32>,
        PixelType::F32 => to_native::<f32>,
        PixelType::F64 => to_native::<f64>,
        _ => return None,
    })
}

/// Converts to native-endian bytes.
fn to_native<T: Sample>(values: &[f32], bytes: &mut [u8]) -> Lost {
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
        let lost = to_native::<T>(values, &mut vec![0; values.len() * size_of::<T>()]);
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
