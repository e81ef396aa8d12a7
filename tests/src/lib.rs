//! Tables of vectors and what runs them.
