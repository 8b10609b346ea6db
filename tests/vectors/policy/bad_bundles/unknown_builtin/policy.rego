package ostiary

decision := graphql.parse(input.query, "")
