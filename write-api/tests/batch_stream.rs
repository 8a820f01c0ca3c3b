//! Batches over a real socket: answers come while the request goes on, and a client that leaves harms nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{HttpServer, rt, web};
use common::{Fixture, TOKEN, fixture, size};
use daybook_http_kit::{HttpKit, IdentityConfig, Organizations, RouteTable, Secret};
use daybook_ledger::LedgerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn serve(fixture: &Fixture) -> SocketAddr {
    let state = fixture.state.clone();
    let documents = [daybook_write_api::openapi()];
    let kit = HttpKit::new(IdentityConfig::new(Some(Secret::new(TOKEN)), false), RouteTable::new(&documents));
    let server = HttpServer::new(move || {
        daybook_http_kit::app(&kit)
            .app_data(web::Data::new(Organizations::single(LedgerId::main(), state.clone())))
            .service(web::scope("/v1").configure(daybook_write_api::configure))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs().remove(0);
    rt::spawn(server.run());
    address
}

async fn connect(address: SocketAddr) -> TcpStream {
    // A small buffer on this side: answers that nobody reads have to wait in the server.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!(
        "POST /v1/transactions/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await.unwrap();
}

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("{{\"transaction_id\":\"t{n}\",\"amount\":\"1.00\",\"currency\":\"EUR\"}}\n")).collect()
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut text, mut buffer) = (String::new(), vec![0; 65_536]);
    timeout(PATIENCE, async {
        while !text.contains(wanted) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the answer ended without {wanted}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{wanted} did not come"));
    text
}

#[actix_web::test]
async fn answers_come_while_the_client_is_still_sending() {
    let fixture = fixture().await;
    let mut stream = connect(serve(&fixture)).await;
    send(&mut stream, &lines(0, 3)).await;
    let early = read_until(&mut stream, "\"line\":3").await;
    assert!(!early.contains("summary"));
    send(&mut stream, &lines(3, 5)).await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\"summary\":{\"lines\":5,\"created\":5").await;
    assert_eq!(size(&fixture).await, 5);
}

#[actix_web::test]
async fn client_that_sends_everything_before_it_reads_is_answered() {
    let fixture = fixture().await;
    let mut stream = connect(serve(&fixture)).await;
    timeout(PATIENCE, async {
        for from in (0..40_000).step_by(1_000) {
            // Long lines, so that the network's own buffers do not hold the whole request.
            let padding = format!("{{\"meta\":{{\"padding\":\"{}\"}},", "x".repeat(400));
            send(&mut stream, &lines(from, from + 1_000).replace('{', &padding)).await;
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await
    .expect("the server goes on reading although nobody reads its answers");
    read_until(&mut stream, "\"summary\":{\"lines\":40000,\"created\":40000").await;
}

#[actix_web::test]
async fn client_that_leaves_stops_the_batch_and_nobody_else() {
    let fixture = fixture().await;
    let address = serve(&fixture);
    let mut stream = connect(address).await;
    send(&mut stream, &lines(0, 700)).await;
    read_until(&mut stream, "\"line\":1,").await;
    drop(stream);
    let mut other = connect(address).await;
    send(&mut other, &lines(700, 701)).await;
    other.write_all(b"0\r\n\r\n").await.unwrap();
    read_until(&mut other, "\"summary\":{\"lines\":1,\"created\":1").await;
    let entries = size(&fixture).await;
    assert!((501..=701).contains(&entries), "whole chunks and the other client's one: {entries}");
}
