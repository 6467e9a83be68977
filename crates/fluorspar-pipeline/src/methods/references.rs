/// An entry of the list of references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference(pub(super) &'static str);

pub(super) const FLUORSPAR: Reference = Reference(
    "fluorspar: from raw calcium movies to representational drift. https://github.com/fluorspar/fluorspar",
);
pub(super) const SUITE2P: Reference = Reference(
    "Pachitariu M, Stringer C, Dipoppa M, et al. Suite2p: beyond 10,000 neurons with standard two-photon microscopy. bioRxiv 061507 (2017).",
);
pub(super) const NWB: Reference = Reference(
    "Rübel O, Tritt A, Ly R, et al. The Neurodata Without Borders ecosystem for neurophysiological data science. eLife 11:e78362 (2022).",
);
pub(super) const NORMCORRE: Reference = Reference(
    "Pnevmatikakis EA, Giovannucci A. NoRMCorre: an online algorithm for piecewise rigid motion correction of calcium imaging data. J Neurosci Methods 291:83-94 (2017).",
);
pub(super) const PMD: Reference = Reference(
    "Buchanan EK, Kinsella I, Zhou D, et al. Penalized matrix decomposition for denoising, compression, and improved demixing of functional imaging data. bioRxiv 334706 (2018).",
);
pub(super) const STEIN: Reference = Reference(
    "Stein CM. Estimation of the mean of a multivariate normal distribution. Ann Stat 9:1135-1151 (1981).",
);
pub(super) const CNMF: Reference = Reference(
    "Pnevmatikakis EA, Soudry D, Gao Y, et al. Simultaneous denoising, deconvolution, and demixing of calcium imaging data. Neuron 89:285-299 (2016).",
);
pub(super) const OASIS: Reference = Reference(
    "Friedrich J, Zhou P, Paninski L. Fast online deconvolution of calcium imaging data. PLoS Comput Biol 13:e1005423 (2017).",
);
pub(super) const WILLIAMS: Reference = Reference(
    "Williams JL, Lau RA. Approximate evaluation of marginal association probabilities with belief propagation. IEEE Trans Aerosp Electron Syst 50:2942-2959 (2014).",
);
pub(super) const SPEARMAN: Reference = Reference(
    "Spearman C. The proof and measurement of association between two things. Am J Psychol 15:72-101 (1904).",
);
pub(super) const DEITCH: Reference = Reference(
    "Deitch D, Rubin A, Ziv Y. Representational drift in the mouse visual cortex. Curr Biol 31:4327-4339 (2021).",
);
pub(super) const GEVA: Reference = Reference(
    "Geva N, Deitch D, Rubin A, Ziv Y. Time and experience differentially affect distinct aspects of hippocampal representational drift. Neuron 111:2357-2366 (2023).",
);
pub(super) const LIBSVM: Reference = Reference(
    "Chang CC, Lin CJ. LIBSVM: a library for support vector machines. ACM Trans Intell Syst Technol 2:27 (2011).",
);
pub(super) const PHIPSON: Reference = Reference(
    "Phipson B, Smyth GK. Permutation p-values should never be zero: calculating exact p-values when permutations are randomly drawn. Stat Appl Genet Mol Biol 9:39 (2010).",
);
pub(super) const BENJAMINI: Reference = Reference(
    "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical and powerful approach to multiple testing. J R Stat Soc B 57:289-300 (1995).",
);
pub(super) const MARKS: Reference = Reference(
    "Marks TD, Goard MJ. Stimulus-dependent representational drift in primary visual cortex. Nat Commun 12:5169 (2021).",
);
pub(super) const MANTEL: Reference = Reference(
    "Mantel N. The detection of disease clustering and a generalized regression approach. Cancer Res 27:209-220 (1967).",
);
pub(super) const PEARSON: Reference = Reference(
    "Pearson K, Filon LNG. Mathematical contributions to the theory of evolution IV. On the probable errors of frequency constants and on the influence of random selection on variation and correlation. Phil Trans R Soc A 191:229-311 (1898).",
);
