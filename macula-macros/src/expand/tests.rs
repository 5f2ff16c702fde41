use quote::quote;

use super::*;
