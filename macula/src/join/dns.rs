//! Records of services from the name servers of the system, by the crate `hickory-resolver`.

use std::io;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{Name, RData};

use super::resolve::SERVICES;
use super::srv::SrvRecord;

/// The records of a service. The system's configuration is read anew each time: name servers change
/// when a machine moves.
pub(super) async fn services(name: &str) -> io::Result<Vec<SrvRecord>> {
    let mut builder = TokioResolver::builder_tokio().map_err(io::Error::other)?;
    let options = builder.options_mut();
    options.cache_size = 0;
    // One lost packet is made up for.
    options.timeout = SERVICES / 2;
    options.attempts = 2;
    ask(&builder.build().map_err(io::Error::other)?, name).await
}

async fn ask(resolver: &TokioResolver, name: &str) -> io::Result<Vec<SrvRecord>> {
    let name = Name::from_ascii(name).map_err(io::Error::other)?;
    let found = match resolver.srv_lookup(name).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
        Err(error) => return Err(io::Error::other(error)),
    };
    let records = found.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => Some(SrvRecord {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii(),
        }),
        _ => None,
    });
    Ok(records.collect())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::rdata::SRV;
    use hickory_resolver::proto::rr::{Record, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    /// Answers on a socket: two records for one name, and for all others that there are none.
    async fn server(socket: UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let asked = Message::from_vec(&buffer[..length]).unwrap();
            let query = asked.queries[0].clone();
            let mut answer = Message::response(asked.metadata.id, OpCode::Query);
            answer.add_query(query.clone());
            if query.query_type() != RecordType::SRV {
                answer.metadata.response_code = ResponseCode::Refused;
            } else if query.name().to_ascii() == "_users._udp.site.example." {
                for (priority, target) in [(10, "b.site.example."), (20, "c.site.example.")] {
                    let target = Name::from_ascii(target).unwrap();
                    let data = RData::SRV(SRV::new(priority, 5, 7000, target));
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
                }
            } else {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    }

    #[tokio::test]
    async fn records_come_from_a_name_server() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let server = tokio::spawn(server(socket));
        let mut way = ConnectionConfig::udp();
        way.port = addr.port();
        let servers = vec![NameServerConfig::new(addr.ip(), true, vec![way])];
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = builder.build().unwrap();

        let records = ask(&resolver, "_users._udp.site.example").await.unwrap();
        let shown = |r: &SrvRecord| (r.priority, r.weight, r.port, r.target.clone());
        let mut records: Vec<_> = records.iter().map(shown).collect();
        records.sort();
        let expected = [(10, 5, 7000, "b.site.example."), (20, 5, 7000, "c.site.example.")];
        assert_eq!(records, expected.map(|(p, w, port, to)| (p, w, port, to.to_owned())));
        assert_eq!(ask(&resolver, "_others._udp.site.example").await.unwrap(), []);
        server.abort();
    }
}
