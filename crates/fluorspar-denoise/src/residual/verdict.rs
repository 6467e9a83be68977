use super::Residual;

/// Share of a normal distribution beyond [`Residual::BEYOND`].
const TAIL: f64 = 3.17e-5;
/// Signal of less than this share of the noise's variance in any tile is faint.
const FAINT: f64 = 0.05;

impl Residual {
    /// Tiles with usable pixels.
    pub fn tiles(&self) -> usize {
        self.pixels.iter().filter(|&&n| n > 0.0).count()
    }

    /// Tiles of which `temporal_z` or `shared_z` is beyond [`Residual::BEYOND`].
    pub fn beyond(&self) -> usize {
        let both = self.temporal_z.iter().zip(&self.shared_z);
        both.filter(|&(&own, &shared)| own > Self::BEYOND || shared > Self::BEYOND)
            .count()
    }

    /// Signal thrown away in the worst of the tiles that stand out, as
    /// [`Whole::lost`](super::Whole::lost) a share of the noise's variance; 0 if none does.
    pub fn strongest(&self) -> f64 {
        let mut most = 0.0_f32;
        for (at, &own) in self.temporal_z.indexed_iter() {
            if own > Self::BEYOND || self.shared_z[at] > Self::BEYOND {
                most = most.max(self.temporal[at] * self.ratio[at]);
                most = most.max(self.shared[at]);
            }
        }
        f64::from(most)
    }

    /// Share of tiles that stand out by chance, at most: the two tests of a
    /// tile together, of noise white in time.
    pub const fn beyond_by_chance() -> f64 {
        2.0 * TAIL
    }

    /// Whether what was removed is noise as far as it can be told: no more
    /// tiles stand out than one beside those by chance, or one in a hundred,
    /// and the signal in them is faint.
    pub fn is_noise(&self) -> bool {
        let tiles = self.tiles() as f64;
        let allowed = (1.0 + tiles * Self::beyond_by_chance()).max(0.01 * tiles);
        self.beyond() as f64 <= allowed && self.strongest() < FAINT
    }

    /// One sentence that says whether only noise was removed.
    pub fn verdict(&self) -> String {
        let (tiles, beyond) = (self.tiles(), self.beyond());
        let ratio = self.whole.ratio;
        let lost = 100.0 * self.whole.lost;
        if tiles == 0 {
            return "Nothing to judge: no pixel has noise.".into();
        }
        if self.pairs == 0 {
            return format!(
                "Not judged: a single frame says nothing about time; what was removed has {ratio:.2} \
                 times the noise's variance."
            );
        }
        let found = format!(
            "{beyond} of {tiles} tiles of the residual are correlated from frame to frame \
             ({:.2} expected by chance)",
            tiles as f64 * Self::beyond_by_chance()
        );
        if !self.is_noise() {
            let strongest = self.strongest();
            let what = if strongest < FAINT {
                "What was removed is noise and faint signal"
            } else {
                "Signal was removed"
            };
            return format!(
                "{what}: {found}; signal makes up at least {lost:.2} % of the noise's variance, {:.1} \
                 % in the worst tile; look at the map of what is left.",
                100.0 * strongest
            );
        }
        if ratio < 0.8 {
            return format!(
                "Noise was kept: {found}, but what was removed has only {ratio:.2} times the \
                 noise's variance."
            );
        }
        format!(
            "What was removed is noise: {found}, its variance is {ratio:.2} times the noise's, and \
             signal at least {lost:.2} % of it."
        )
    }
}
