package page

// Generated is for the tests of package page_test.
var Generated = generated
