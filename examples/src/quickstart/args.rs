//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the help says. The roles are between the program and itself.
pub const HELP: &str = "\
Starts three servers and a client as processes of this machine, asks the servers about time zones,
kills two of them, and says what each step promised and did.

Usage: quickstart [--data FILE]

  --data FILE   serve this table of the form of zone1970.tab instead of the bundled one
  --help        print this

Exit status: 0 if every step was as promised, 1 if one was not, 2 if the arguments or the data
file were refused.";

/// What this process is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Args {
    /// Print [`HELP`].
    Help,
    /// Run the quickstart.
    Launch {
        /// The table to serve; the bundled one if absent.
        data: Option<PathBuf>,
    },
    /// Tell the story, with servers as children.
    Client(Role),
    /// Serve the table until standard input closes.
    Server {
        /// The name of the node.
        name: String,
        /// What all processes of the run share.
        role: Role,
    },
}

/// What each process of a run is told. The cookie and the runtime directory are in its environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Role {
    /// The realm of this run.
    pub realm: String,
    /// The table that the servers load.
    pub data: PathBuf,
    /// Where the servers' logs are written.
    pub logs: PathBuf,
}

/// A command line that makes no sense. Nothing was started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// No such option.
    #[error("unknown argument `{0}`: try --help")]
    Unknown(String),
    /// An option stands at the end of the line without its value.
    #[error("{0} needs a value: try --help")]
    NoValue(&'static str),
    /// An option stands twice.
    #[error("{0} is given twice: try --help")]
    Twice(&'static str),
    /// A role was given without what it needs, or with a name that is none.
    #[error("--role is for the program itself: try --help")]
    BadRole,
}

const OPTIONS: [&str; 5] = ["--data", "--role", "--name", "--realm", "--logs"];

impl Args {
    /// Reads arguments, the program's name already taken off.
    ///
    /// # Errors
    /// The first argument that is unknown, incomplete or repeated.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ArgsError> {
        let mut values: [Option<OsString>; OPTIONS.len()] = Default::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--help" || arg == "-h" {
                return Ok(Self::Help);
            }
            let known = OPTIONS.into_iter().zip(&mut values).find(|(option, _)| arg == **option);
            let Some((option, value)) = known else {
                return Err(ArgsError::Unknown(arg.to_string_lossy().into_owned()));
            };
            let given = args.next().ok_or(ArgsError::NoValue(option))?;
            if value.replace(given).is_some() {
                return Err(ArgsError::Twice(option));
            }
        }
        let [data, role, name, realm, logs] = values;
        let data = data.map(PathBuf::from);
        match (role, name, realm, data, logs) {
            (None, None, None, data, None) => Ok(Self::Launch { data }),
            (Some(role), name, Some(realm), Some(data), Some(logs)) => {
                let realm = realm.into_string().map_err(|_| ArgsError::BadRole)?;
                let shared = Role { realm, data, logs: logs.into() };
                match (role.to_str(), name.map(OsString::into_string)) {
                    (Some("client"), None) => Ok(Self::Client(shared)),
                    (Some("server"), Some(Ok(name))) => Ok(Self::Server { name, role: shared }),
                    _ => Err(ArgsError::BadRole),
                }
            }
            _ => Err(ArgsError::BadRole),
        }
    }
}

impl Role {
    /// The arguments that make a child the client.
    pub fn client_args(&self) -> Vec<OsString> {
        self.args("client")
    }

    /// The arguments that make a child the server `name`.
    pub fn server_args(&self, name: &str) -> Vec<OsString> {
        let mut args = self.args("server");
        args.extend(["--name".into(), name.into()]);
        args
    }

    fn args(&self, role: &str) -> Vec<OsString> {
        vec![
            "--role".into(),
            role.into(),
            "--realm".into(),
            self.realm.clone().into(),
            "--data".into(),
            self.data.clone().into(),
            "--logs".into(),
            self.logs.clone().into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, ArgsError> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    fn role() -> Role {
        Role { realm: "r".into(), data: "a table.tab".into(), logs: "l".into() }
    }

    #[test]
    fn a_user_may_give_a_file() {
        assert_eq!(parse(""), Ok(Args::Launch { data: None }));
        assert_eq!(parse("--data x.tab"), Ok(Args::Launch { data: Some("x.tab".into()) }));
        assert_eq!(parse("--data x.tab --help"), Ok(Args::Help));
    }

    #[test]
    fn roles_survive_the_way_to_a_child() {
        assert_eq!(Args::parse(role().client_args()), Ok(Args::Client(role())));
        let server = Args::Server { name: "s1".into(), role: role() };
        assert_eq!(Args::parse(role().server_args("s1")), Ok(server));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(parse("--date x"), Err(ArgsError::Unknown("--date".into())));
        assert_eq!(parse("x.tab"), Err(ArgsError::Unknown("x.tab".into())));
        assert_eq!(parse("--data"), Err(ArgsError::NoValue("--data")));
        assert_eq!(parse("--data a --data b"), Err(ArgsError::Twice("--data")));
        for line in ["--role client", "--realm r", "--role king --realm r --data d --logs l"] {
            assert_eq!(parse(line), Err(ArgsError::BadRole), "{line}");
        }
    }
}
