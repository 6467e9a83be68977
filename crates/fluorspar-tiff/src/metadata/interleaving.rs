use fluorspar_movie::ImageOrder;

/// How the images of channels and planes follow each other in a file: image of
/// `(frame, plane, channel)` = `frame · frame_step + plane · plane_step +
/// channel · channel_step`. Images that none of these names (flyback) are
/// left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interleaving {
    /// Frames (volumes) that are whole.
    pub frames: usize,
    /// Planes per volume.
    pub planes: usize,
    /// Channels.
    pub channels: usize,
    /// Images from one frame to the next.
    pub frame_step: usize,
    /// Images from one plane to the next.
    pub plane_step: usize,
    /// Images from one channel to the next.
    pub channel_step: usize,
}

/// The axes that images can follow each other along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Channel,
    Plane,
    Frame,
}

impl Interleaving {
    /// Axes one inside the other, the fastest first. Frames are counted from
    /// the number of `images` where frames are the slowest axis.
    pub(crate) fn nested(
        order: [Axis; 3],
        channels: usize,
        planes: usize,
        frames: usize,
        images: usize,
    ) -> Option<Self> {
        let mut out = Self {
            frames,
            planes,
            channels,
            frame_step: 0,
            plane_step: 0,
            channel_step: 0,
        };
        let mut step: usize = 1;
        for axis in order {
            let (slot, count) = match axis {
                Axis::Channel => (&mut out.channel_step, channels),
                Axis::Plane => (&mut out.plane_step, planes),
                Axis::Frame => (&mut out.frame_step, frames),
            };
            *slot = step;
            step = step.checked_mul(count.max(1))?;
        }
        if order[2] == Axis::Frame {
            out.frames = images / out.frame_step;
        }
        out.checked(images)
    }

    /// As it is, if all images it names are among `images` and there is
    /// anything to tell apart.
    pub(crate) fn checked(self, images: usize) -> Option<Self> {
        let last = |count: usize, step: usize| count.checked_sub(1)?.checked_mul(step);
        let end = last(self.frames, self.frame_step)?
            .checked_add(last(self.planes, self.plane_step)?)?
            .checked_add(last(self.channels, self.channel_step)?)?;
        (end < images && self.planes.max(self.channels) > 1).then_some(self)
    }

    /// The image of a frame, plane and channel; `None` outside the file.
    pub fn image(&self, frame: usize, plane: usize, channel: usize) -> Option<usize> {
        (frame < self.frames && plane < self.planes && channel < self.channels).then(|| {
            frame * self.frame_step + plane * self.plane_step + channel * self.channel_step
        })
    }

    /// Where the images of one channel lie; `None` for a channel that is not there.
    pub fn order(&self, channel: usize) -> Option<ImageOrder> {
        (channel < self.channels).then_some(ImageOrder {
            first: channel * self.channel_step,
            frame_step: self.frame_step,
            plane_step: self.plane_step,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every image is named once, and none beyond the file.
        #[test]
        fn nested_axes_name_each_image_once(
            channels in 1_usize..4, planes in 1_usize..5, frames in 1_usize..6, order in 0_usize..6, more in 0_usize..3,
        ) {
            use Axis::{Channel, Frame, Plane};
            let orders = [
                [Channel, Plane, Frame], [Channel, Frame, Plane], [Plane, Channel, Frame],
                [Plane, Frame, Channel], [Frame, Channel, Plane], [Frame, Plane, Channel],
            ];
            let images = channels * planes * frames + more;
            let Some(found) = Interleaving::nested(orders[order], channels, planes, frames, images) else {
                prop_assert!(channels * planes == 1);
                return Ok(());
            };
            let mut named: Vec<usize> = Vec::new();
            for frame in 0..found.frames {
                for plane in 0..planes {
                    for channel in 0..channels {
                        named.push(found.image(frame, plane, channel).unwrap());
                    }
                }
            }
            named.sort_unstable();
            let count = named.len();
            named.dedup();
            prop_assert_eq!(named.len(), count);
            prop_assert!(named.iter().all(|&image| image < images));
            prop_assert!(count >= channels * planes * frames);
            prop_assert_eq!(found.image(found.frames, 0, 0), None);
        }
    }
}
