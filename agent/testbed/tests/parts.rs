//! Every part starts, answers, and is gone after its drop or its parent's death.

use std::time::{Duration, SystemTime};

use evenkeel_testbed::exporter::Exporter;
use evenkeel_testbed::http;
use evenkeel_testbed::process::{Process, Program, is_running};
use evenkeel_testbed::prometheus::{Options, history};
use evenkeel_testbed::{Moto, Prometheus, Proxy, free_port, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

fn seconds_ago(seconds: u64) -> i64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs();
    i64::try_from(now - seconds).expect("it is before the year 292 billion")
}

#[test]
fn prometheus_scrapes_what_the_exporter_is_set_to_and_is_gone_after_drop() {
    let exporter = Exporter::start();
    exporter.set("load", &[("service", "check\"out")], 42.0);
    exporter.set("load", &[("service", "gone")], 7.0);
    let prometheus = Options::new().scrape(&exporter).start();
    exporter.wait_scraped(LIMIT);
    wait_until(LIMIT, "the first sample", || prometheus.query_number("sum(load)") == Some(49.0));

    exporter.remove("load", &[("service", "gone")]);
    wait_until(LIMIT, "the removal", || prometheus.query_number("load") == Some(42.0));
    exporter.fail();
    wait_until(LIMIT, "a failed scrape", || prometheus.query_number("up") == Some(0.0));
    exporter.resume();
    wait_until(LIMIT, "a good scrape", || prometheus.query_number("up") == Some(1.0));
    exporter.pause();
    wait_until(LIMIT, "a hanging scrape", || prometheus.query_number("up") == Some(0.0));

    let pid = prometheus.pid();
    assert!(is_running(pid));
    drop(prometheus);
    assert!(!is_running(pid));
}

#[test]
fn history_is_there_before_the_first_scrape() {
    let points = (0..300).map(|step| (seconds_ago(86_400) + step * 60, 5.0));
    let old = points.map(|(at, value)| (at, if at % 2 == 0 { value } else { value + 2.0 }));
    let text = history("load", &[("service", "checkout")], old);
    let prometheus = Options::new().backfill_openmetrics(&text).start();
    assert_eq!(prometheus.query_number("count_over_time(load[2d])"), Some(300.0));
    assert!(prometheus.query_number("absent(load)").is_some(), "the history must have ended");
}

#[test]
fn a_login_and_tls_are_asked_for() {
    let prometheus: Prometheus = Options::new().login().tls().start();
    assert!(prometheus.url().starts_with("https://127.0.0.1:"));
    assert_eq!(prometheus.query_number("vector(1) + 1"), Some(2.0));
    assert!(prometheus.certificate_file().is_file());

    let login_only = Options::new().login().start();
    let refused = http::get(&format!("{}/api/v1/query?query=1", login_only.url())).unwrap();
    assert_eq!(refused.status, 401);
}

#[test]
fn prometheus_hangs_stops_and_comes_back_on_the_same_port() {
    let mut prometheus = Options::new().start();
    let url = format!("{}/-/ready", prometheus.url());
    prometheus.pause();
    prometheus.resume();
    assert_eq!(http::get(&url).unwrap().status, 200);
    prometheus.stop();
    assert!(http::get(&url).is_err());
    prometheus.start_again();
    assert_eq!(http::get(&url).unwrap().status, 200);
}

#[test]
fn moto_holds_groups_and_services_and_is_gone_after_drop() {
    let moto = Moto::start();
    moto.create_auto_scaling_group("checkout", 1, 20, 3);
    moto.create_auto_scaling_group("search", 0, 20, 5);
    assert_eq!(moto.desired_capacity("checkout"), 3);
    assert_eq!(moto.instances_in_service("checkout"), 3);
    moto.set_desired_capacity("checkout", 7);
    assert_eq!((moto.desired_capacity("checkout"), moto.instances_in_service("checkout")), (7, 7));
    moto.set_bounds("checkout", 2, 30);
    moto.delete_auto_scaling_group("search");
    assert_eq!(moto.instances_in_service("search"), 0);

    moto.create_ecs_service("shop", "cart", 4);
    moto.create_ecs_service("shop", "mail", 1);
    moto.set_desired_count("shop", "cart", 6);
    assert_eq!((moto.desired_count("shop", "cart"), moto.desired_count("shop", "mail")), (6, 1));

    moto.reset();
    assert_eq!(moto.instances_in_service("checkout"), 0);
    let pid = moto.pid();
    assert!(is_running(pid));
    drop(moto);
    assert!(!is_running(pid));
}

#[test]
fn a_proxy_counts_holds_severs_and_forges() {
    let exporter = Exporter::start();
    exporter.set("load", &[], 1.0);
    let proxy = Proxy::start(&format!("http://{}", exporter.address()));
    let post = |body: &str| {
        http::send("POST", &format!("{}/path", proxy.url()), &[], body.as_bytes(), None)
    };
    assert_eq!(post("Action=Describe").unwrap().text(), "load 1\n");

    proxy.sever_after_forwarding("Action=Set", 1);
    assert!(post("Action=Set&n=1").is_err());
    proxy.sever_before_forwarding("Action=Set", 1);
    assert!(post("Action=Set&n=2").is_err());
    proxy.answer_aws_error("Action=Set", 2, 400, "Throttling");
    assert!(post("Action=Set&n=3").unwrap().text().contains("<Code>Throttling</Code>"));
    assert_eq!(post("Action=Set&n=4").unwrap().status, 400);
    assert_eq!(post("Action=Set&n=5").unwrap().status, 200);
    let bodies: Vec<String> =
        proxy.requests_matching("Action=Set").into_iter().map(|it| it.body).collect();
    let expected: Vec<String> = (1..6).map(|n| format!("Action=Set&n={n}")).collect();
    assert_eq!(bodies, expected);
    assert_eq!(proxy.forwarded_matching("Action=Set"), 2);

    proxy.hold_responses_matching("held");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| post("held").unwrap().status);
        proxy.wait_until_held(1, LIMIT);
        assert_eq!(proxy.forwarded_matching("held"), 1);
        proxy.release();
        assert_eq!(waiting.join().unwrap(), 200);
        proxy.hold_requests_matching("held");
        let waiting = scope.spawn(|| post("held").unwrap().status);
        proxy.wait_until_held(1, LIMIT);
        assert_eq!(proxy.forwarded_matching("held"), 1);
        proxy.release();
        assert_eq!(waiting.join().unwrap(), 200);
    });

    proxy.require_header("authorization", "Bearer right");
    assert_eq!(post("x").unwrap().status, 401);
    proxy.clear_rules();
    proxy.refuse();
    assert!(post("x").is_err());
    proxy.accept_again();
    drop(exporter);
    assert_eq!(post("x").unwrap().status, 503);

    let url = proxy.url();
    drop(proxy);
    assert!(http::get(&url).is_err());
}

/// boto3 comes with moto: a client of AWS's own, with retries, signatures and all.
#[test]
fn an_aws_client_gets_through_the_proxy_and_sees_what_it_forges() {
    let moto = Moto::shared();
    moto.create_auto_scaling_group("proxied", 1, 20, 3);
    moto.create_ecs_service("proxied", "cart", 3);
    let proxy = Proxy::start(moto.url());
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-parts/venv/bin/python");
    let run = |service: &str, call: &str| {
        let script = format!(
            "import boto3, botocore.config as c\n\
             client = boto3.client('{service}', endpoint_url='{}', region_name='eu-central-1',\n\
             aws_access_key_id='testing', aws_secret_access_key='testing',\n\
             config=c.Config(retries={{'total_max_attempts': 1}}))\n\
             print(client.{call})",
            proxy.url()
        );
        let output = Program::new(python).args(["-c", &script]).command().output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let set = |desired: u32| {
        let arguments = format!("AutoScalingGroupName='proxied', DesiredCapacity={desired}");
        run("autoscaling", &format!("set_desired_capacity({arguments})"))
    };
    assert!(set(5).contains("'HTTPStatusCode': 200"), "{}", set(5));
    proxy.answer_aws_error("Action=SetDesiredCapacity", 1, 400, "Throttling");
    let throttled = set(6);
    assert!(throttled.contains("An error occurred (Throttling)"), "{throttled}");
    assert_eq!(moto.desired_capacity("proxied"), 5);
    proxy.sever_after_forwarding("Action=SetDesiredCapacity", 1);
    let severed = set(7);
    assert!(severed.contains("ConnectionClosedError"), "{severed}");
    assert_eq!(moto.desired_capacity("proxied"), 7, "AWS acted, only the answer was lost");

    let update = "update_service(cluster='proxied', service='cart', desiredCount=9)";
    assert!(run("ecs", update).contains("'desiredCount': 9"), "{}", run("ecs", update));
    assert_eq!(proxy.count_matching("ContainerServiceV20141113.UpdateService"), 1);
    assert_eq!(moto.desired_count("proxied", "cart"), 9);
}

#[test]
fn a_process_tells_what_it_wrote_and_how_it_ended() {
    let mut process = Process::start(&Program::installed("sh", "").args(["-c", "echo hi; exit 3"]));
    process.wait_output(LIMIT, "hi");
    assert_eq!(process.wait_exit(LIMIT).code(), Some(3));
}

#[test]
#[should_panic(expected = "no-such-server is not installed; run `make test-parts`")]
fn a_missing_program_says_how_to_get_it() {
    let _ = Program::installed("no-such-server", "run `make test-parts`");
}

#[test]
#[should_panic(expected = "sh ended with exit status: 3 before it was ready")]
fn a_server_that_ends_early_fails_the_start() {
    let on = |_| Program::installed("sh", "").args(["-c", "exit 3"]);
    let _ = Process::start_listening(LIMIT, on, |_| true);
}

#[test]
fn a_taken_port_is_left_to_its_owner() {
    let exporter = Exporter::start();
    let taken: u16 = exporter.address().rsplit(':').next().unwrap().parse().unwrap();
    let mut attempts = 0;
    let server = |port: u16| {
        attempts += 1;
        let port = if attempts == 1 { taken } else { port };
        let code =
            "import http.server, sys; http.server.test(port=int(sys.argv[1]), bind='127.0.0.1')";
        Program::installed("python3", "apt-get install python3").args([
            "-c",
            code,
            &port.to_string(),
        ])
    };
    let (process, port) = Process::start_listening(LIMIT, server, |_| true);
    assert_ne!(port, taken);
    assert!(is_running(process.pid()));
    assert_ne!(free_port(), port);
}

/// Names the environment variable that makes [`starts_a_child_and_dies`] do so.
const DIE: &str = "EVENKEEL_TESTBED_DIE";

#[test]
fn a_part_dies_with_the_process_that_started_it() {
    let test = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "starts_a_child_and_dies", "--nocapture"])
        .env(DIE, "yes");
    let output = test.command().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "it must have been killed: {text}");
    let (_, rest) = text.split_once("child ").unwrap_or_else(|| panic!("no child: {text}"));
    let pid = rest.split_whitespace().next().unwrap().parse().unwrap();
    wait_until(LIMIT, "the orphan's end", || !is_running(pid));
}

/// A part of the test above; on its own it has nothing to do.
#[test]
fn starts_a_child_and_dies() {
    if std::env::var_os(DIE).is_none() {
        return;
    }
    // A test's thread ends before the process does: the child must outlive only that.
    let start = || Process::start(&Program::installed("sleep", "").arg("600"));
    let child = std::thread::spawn(start).join().unwrap();
    std::thread::scope(|scope| drop(scope.spawn(|| ())));
    assert!(is_running(child.pid()));
    #[expect(clippy::print_stdout, reason = "the test above reads it")]
    {
        println!("child {}", child.pid());
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
}
