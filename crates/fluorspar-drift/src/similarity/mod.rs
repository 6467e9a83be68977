//! How alike two sessions' codes are: correlations, dissimilarity matrices, subspaces, shapes.
