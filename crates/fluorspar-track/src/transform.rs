use ndarray::Array3;

/// A smooth map from places in the reference session to places in another.
///
/// A place is `(y, x)` in pixels of its own session. The map is affine, plus a
/// field of displacements on a grid of nodes, interpolated between them, plus
/// a shift of each plane:
/// `session = matrix · (reference − centre) + offset + field(reference) + plane_shift`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    /// `[[yy, yx], [xy, xx]]`, pixels of the session per pixel of the reference.
    pub matrix: [[f64; 2]; 2],
    /// Centre of the reference session's field, `(y, x)`.
    pub centre: (f64, f64),
    /// Where the centre lies in the session, `(y, x)`.
    pub offset: (f64, f64),
    /// Displacements `(2, node row, node column)`, along y and x, pixels of
    /// the session; empty for an affine map.
    pub field: Array3<f64>,
    /// Place of the first node, `(y, x)`, in the reference session.
    pub origin: (f64, f64),
    /// Distance between nodes, pixels of the reference session.
    pub spacing: f64,
    /// Plane of the session that shows plane 0 of the reference session.
    pub plane_offset: i32,
    /// Shift `(y, x)` of each plane of the reference session beside that of
    /// the whole stack, pixels of the session; empty if planes are not told apart.
    pub plane_shift: Vec<(f64, f64)>,
}

impl Transform {
    /// A map that moves nothing.
    pub fn identity() -> Self {
        Self {
            matrix: [[1.0, 0.0], [0.0, 1.0]],
            centre: (0.0, 0.0),
            offset: (0.0, 0.0),
            field: Array3::zeros((2, 0, 0)),
            origin: (0.0, 0.0),
            spacing: 1.0,
            plane_offset: 0,
            plane_shift: Vec::new(),
        }
    }

    /// Where a place `(y, x)` of the reference session lies in the session,
    /// all planes taken as one.
    pub fn to_session(&self, place: (f64, f64)) -> (f64, f64) {
        let (y, x) = (place.0 - self.centre.0, place.1 - self.centre.1);
        let [[yy, yx], [xy, xx]] = self.matrix;
        let (dy, dx) = self.displacement(place);
        (
            self.offset.0 + yy * y + yx * x + dy,
            self.offset.1 + xy * y + xx * x + dx,
        )
    }

    /// Where a place `(y, x)` of the session lies in the reference session,
    /// all planes taken as one.
    ///
    /// The bent part is undone by iteration, which ends within 0.001 pixel for
    /// fields that do not fold.
    pub fn to_reference(&self, place: (f64, f64)) -> (f64, f64) {
        let (y, x) = self.unturned((place.0 - self.offset.0, place.1 - self.offset.1));
        let mut found = (y + self.centre.0, x + self.centre.1);
        if self.field.is_empty() {
            return found;
        }
        for _ in 0..20 {
            let at = self.to_session(found);
            let miss = (place.0 - at.0, place.1 - at.1);
            let (y, x) = self.unturned(miss);
            found = (found.0 + y, found.1 + x);
            if miss.0.hypot(miss.1) < 1e-3 {
                break;
            }
        }
        found
    }

    /// As [`Transform::to_session`], for a place in a plane of the reference
    /// session; it lies in plane `plane + plane_offset` of the session.
    pub fn to_session_in(&self, plane: i64, place: (f64, f64)) -> (f64, f64) {
        let (y, x) = self.to_session(place);
        let (dy, dx) = self.shift_of(plane);
        (y + dy, x + dx)
    }

    /// As [`Transform::to_reference`], for a place in a plane of the session;
    /// it lies in plane `plane − plane_offset` of the reference session.
    pub fn to_reference_from(&self, plane: i64, place: (f64, f64)) -> (f64, f64) {
        let (dy, dx) = self.shift_of(plane - i64::from(self.plane_offset));
        self.to_reference((place.0 - dy, place.1 - dx))
    }

    /// Pixels of the session per pixel of the reference session, along one side.
    pub fn scale(&self) -> f64 {
        let [[yy, yx], [xy, xx]] = self.matrix;
        (yy * xx - yx * xy).abs().sqrt()
    }

    /// Angle by which the session is turned, degrees, positive from y towards x.
    pub fn rotation(&self) -> f64 {
        let [[yy, yx], [xy, xx]] = self.matrix;
        (xy - yx).atan2(yy + xx).to_degrees()
    }

    /// Root mean square of the bent part over its nodes, pixels of the session.
    pub fn bend(&self) -> f64 {
        let nodes = self.field.len() / 2;
        if nodes == 0 {
            return 0.0;
        }
        (self.field.iter().map(|v| v * v).sum::<f64>() / nodes as f64).sqrt()
    }

    /// Planes beyond the stack shift as its outermost.
    pub(crate) fn shift_of(&self, plane: i64) -> (f64, f64) {
        match self.plane_shift.len() {
            0 => (0.0, 0.0),
            n => self.plane_shift[plane.clamp(0, n as i64 - 1) as usize],
        }
    }

    /// The inverse of the matrix.
    fn unturned(&self, (y, x): (f64, f64)) -> (f64, f64) {
        let [[yy, yx], [xy, xx]] = self.matrix;
        let scale = 1.0 / (yy * xx - yx * xy);
        (scale * (xx * y - yx * x), scale * (yy * x - xy * y))
    }

    /// The bent part at a place of the reference session; beyond the grid it
    /// stays as it is at its edge.
    fn displacement(&self, (y, x): (f64, f64)) -> (f64, f64) {
        let (_, rows, columns) = self.field.dim();
        if rows == 0 || columns == 0 {
            return (0.0, 0.0);
        }
        let along = |at: f64, nodes: usize| {
            let at = at.clamp(0.0, (nodes - 1) as f64);
            let low = (at as usize).min(nodes.saturating_sub(2));
            (low, (low + 1).min(nodes - 1), at - low as f64)
        };
        let (y0, y1, fy) = along((y - self.origin.0) / self.spacing, rows);
        let (x0, x1, fx) = along((x - self.origin.1) / self.spacing, columns);
        let mixed = |axis: usize| {
            let node = |row, column| self.field[[axis, row, column]];
            (1.0 - fy) * ((1.0 - fx) * node(y0, x0) + fx * node(y0, x1))
                + fy * ((1.0 - fx) * node(y1, x0) + fx * node(y1, x1))
        };
        (mixed(0), mixed(1))
    }
}
