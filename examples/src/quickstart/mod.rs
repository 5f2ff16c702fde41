//! The quickstart: three server processes, one client process, and what happens to them.
