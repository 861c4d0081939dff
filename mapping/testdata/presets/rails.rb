# Prints what render json: of a Rails API says of each column of table matrix. See README.md.
require "active_record"
require "active_support"
require "active_support/core_ext"
require "active_support/json"

Time.zone_default = Time.find_zone!("UTC")
ActiveRecord::Base.establish_connection(ARGV.fetch(0))
ActiveRecord::Base.time_zone_aware_attributes = true
# config.active_record.schema_format and the like change nothing here; what follows are the defaults of a new application.
ActiveSupport::JSON::Encoding.use_standard_json_time_format = true
ActiveSupport::JSON::Encoding.escape_html_entities_in_json = true
ActiveSupport::JSON::Encoding.time_precision = 3
ActiveSupport.parse_json_times = false

class Matrix < ActiveRecord::Base
  self.table_name = "matrix"
end

$stderr.puts "rails #{ActiveRecord.version}, ruby #{RUBY_VERSION}, pg #{PG::VERSION}"
cases = ActiveRecord::Base.connection.select_rows("select name, type from cases order by n")
# Rails 6.1 still reads an interval as text, and says that it will be a duration from 7.0 on.
cases.each { |name, type| Matrix.attribute(name, :interval) if type == "interval" }
cases.each do |name, _|
  begin
    puts "#{name}\t#{Matrix.select(name).take!.as_json(only: name).to_json[/\A\{"#{name}":(.*)\}\z/m, 1]}"
  rescue StandardError => e
    puts "#{name}\t! #{e.class}"
  end
end
