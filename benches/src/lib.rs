//! Benchmarks only: see `README.md` and `benches/`.
