use nebula::IntoStatus;

/// No `Display`.
#[derive(IntoStatus)]
enum Silent {
    #[status(code = 404, public)]
    NotFound,
}

struct Plain;

#[derive(IntoStatus)]
enum Fields {
    #[status(message = "m")]
    Data(#[status(data = "plain")] Plain),
    #[status(transparent)]
    Inner(Plain),
}

fn main() {
    let call = nebula::CallError::App(Plain);
    call.public();
}
