//! Three servers, one client, two losses: see `--help`.

use std::io::stdout;
use std::process::ExitCode;

use examples::quickstart::args::{HELP, Role};
use examples::quickstart::{Args, Lifeline, Mishap, Servers, Story, launch, scenes, serving};

#[tokio::main]
async fn main() -> ExitCode {
    match Args::parse(std::env::args_os().skip(1)) {
        Ok(Args::Help) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Args::Launch { data }) => match launch::run(data.as_deref()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error.to_string(), error.status()),
        },
        Ok(Args::Client(role)) => end(client(role).await),
        Ok(Args::Server { name, role }) => {
            let ended = server(&name, &role).await;
            end(ended.map_err(|mishap| Mishap::new(format!("{name}: {mishap}"))))
        }
        Err(error) => refuse(&error.to_string(), 2),
    }
}

async fn client(role: Role) -> Result<(), Mishap> {
    let mut lifeline = Lifeline::hold()?;
    let mut servers = Servers::new(role.clone())?;
    let mut story = Story::new(stdout());
    tokio::select! {
        played = scenes::play(&mut story, &mut servers, &role) => played?,
        () = lifeline.closed() => return Err(Mishap::new("the launcher is gone")),
    }
    story.end();
    Ok(())
}

async fn server(name: &str, role: &Role) -> Result<(), Mishap> {
    let mut lifeline = Lifeline::hold()?;
    serving::serve(name, role, &mut lifeline).await
}

fn end(outcome: Result<(), Mishap>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(mishap) => refuse(&mishap.to_string(), 1),
    }
}

fn refuse(message: &str, status: u8) -> ExitCode {
    eprintln!("quickstart: {message}");
    ExitCode::from(status)
}
