//! The load generator's table, with numbers so small that only its working is tested.

use serde_json::Value;

#[test]
fn the_table_is_measured_and_printed_row_by_row() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.json");
    let arguments = [
        "bench",
        "table",
        "--backend",
        "sqlite",
        "--messages",
        "230",
        "--rounds",
        "1",
        "--seconds",
        "0.1",
        // All kinds of rows; those of thousands of sockets take too long here.
        "--rows",
        "page,unseen,backlog,conversations,deep,changes,message,search,nowhere,send64,name64,spread,hot,react,searching,\
         start,size",
        "--binary",
        env!("CARGO_BIN_EXE_parlance"),
        "--json",
    ];
    // Fails where an answer is not what was asked for, and where `parlance doctor` finds fault with what was filled in.
    bench::run(arguments.map(Into::into).into_iter().chain([file.clone().into()])).unwrap();
    let sections: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let [on_messages, on_nothing] = sections.as_array().unwrap().as_slice() else { panic!("{sections}") };
    assert_eq!((&on_messages["messages"], &on_nothing["messages"]), (&Value::from(230), &Value::Null));
    let rows = on_messages["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 16, "{rows:?}");
    for row in rows.iter().filter(|row| row.get("figures").is_none()) {
        assert!(row["requests_a_second"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["of_no_op"].as_f64().unwrap() > 0.0, "{row}");
    }
    let searches = rows.iter().find(|row| row["row"] == "search beside sends").unwrap();
    for word in ["tenth_ms", "nowhere_ms"] {
        assert!(searches["figures"][word].as_array().unwrap().iter().all(|each| each.as_f64().unwrap() > 0.0));
    }
    assert_eq!(on_nothing["rows"].as_array().unwrap().len(), 2, "{on_nothing}");
}
