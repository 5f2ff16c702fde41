use nebula::IntoStatus;

#[derive(IntoStatus)]
#[status(code = 404)]
enum E {
    #[status(public)]
    A,
    #[status(code = 200, public, name = "Not found")]
    B,
    #[status(code = "not_found", message = "no user {id}", bogus)]
    C { id: u64 },
    #[status(transparent, code = 404)]
    D(nebula::CallError),
    #[status(transparent)]
    F(#[status(data)] nebula::CallError, u8),
    #[status(crate = "nebula", message = "m")]
    G(#[status(data)] u64, #[status(code = 1)] u64),
    #[status(code = 500, public, message = "m")]
    InternalError,
    #[status(message = "m")]
    #[status(code = 404)]
    H,
    #[status]
    I,
}

impl std::fmt::Display for E {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

#[derive(IntoStatus)]
union U {
    a: u8,
}

fn main() {}
