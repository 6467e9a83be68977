//! Fluorescence traces, neuropil and dF/F from footprints and a movie
